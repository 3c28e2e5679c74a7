"""A guestbook: people leave their name, some words and a file."""

import os
import sqlite3

from flask import Flask, abort, redirect, render_template, request, send_from_directory
from werkzeug.utils import secure_filename

HERE = os.path.dirname(os.path.abspath(__file__))
DATABASE = os.path.join(HERE, "data", "guestbook.db")
UPLOADS = os.path.join(HERE, "uploads")

app = Flask(__name__)


def database():
    connection = sqlite3.connect(DATABASE)
    connection.row_factory = sqlite3.Row
    return connection


@app.get("/healthz")
def healthz():
    return "ok\n"


@app.get("/")
def index():
    with database() as db:
        entries = db.execute("SELECT id, name, words FROM entries ORDER BY id DESC LIMIT 20").fetchall()
        count = db.execute("SELECT count(*) FROM entries").fetchone()[0]
    return render_template("index.html", entries=entries, count=count)


@app.post("/sign")
def sign():
    name, words = request.form.get("name", ""), request.form.get("words", "")
    if not name:
        abort(400, "who are you?")
    with database() as db:
        db.execute("INSERT INTO entries (name, words) VALUES (?, ?)", (name, words))
    return redirect("/")


@app.post("/files")
def upload():
    file = request.files.get("file")
    name = secure_filename(file.filename) if file else ""
    if not name:
        abort(400, "no file")
    file.save(os.path.join(UPLOADS, name))
    return f"{name} is kept\n", 201


@app.get("/files/<name>")
def download(name):
    return send_from_directory(UPLOADS, name)
