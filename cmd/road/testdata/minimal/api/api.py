from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/never":  # no check asks for it
            import plistlib
            text = plistlib.dumps({"loaded": "late"}).decode()
        else:
            import json
            text = json.dumps({"python": "answers"})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())


ThreadingHTTPServer(("", 8000), Handler).serve_forever()
