"""The orders of the shop, in a database that another team runs."""
import configparser
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg2

settings = configparser.ConfigParser()
settings.read("settings.ini")


def query(statement, *values):
    connection = psycopg2.connect(os.environ["DATABASE_URL"], password=os.environ["DATABASE_PASSWORD"], connect_timeout=3)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


class Orders(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"Count": query("select count(*) from tea")[0][0]})

    def do_POST(self):
        item = parse_qs(urlsplit(self.path).query).get("item", ["tea"])[0]
        number = query("insert into tea (item) values (%s) returning number", item)[0][0]
        self.answer({"Number": number, "Item": item})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    query("create table if not exists tea (number serial primary key, item text)")
    print("taking orders", flush=True)
    ThreadingHTTPServer(("", settings.getint("orders", "port")), Orders).serve_forever()
