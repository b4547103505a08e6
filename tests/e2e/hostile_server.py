# SPDX-License-Identifier: Apache-2.0
# hostile_server.py LAYOUT: an HTTP server on a free port of 127.0.0.1, which it prints; what it does
# badly is in the path. /v2/MODE/NAME/ serves the OCI layout as a registry. Lines about what came go
# to stdout too.
import base64, hashlib, http.server, json, os, sys, threading

layout = sys.argv[1] if len(sys.argv) > 1 else None
DATA = bytes(range(256)) * 4000
seen = {}
forever = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def say(self, *words):
        print(*words, flush=True)

    def answer(self, data, code=200, headers={}, length=None):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        if length is not None and length != len(data):
            self.close_connection = True

    def redirect(self, to):
        self.answer(b"", 302, {"Location": to})

    def ranged(self, tag, cut):
        want = self.headers.get("Range")
        start = int(want[6:].split("-")[0]) if want else 0
        same = self.headers.get("If-Range") in (None, tag)
        self.say("range", want, self.headers.get("If-Range"))
        if want and same:
            part = DATA[start:]
            self.answer(part[:cut], 206, {"ETag": tag, "Content-Range": "bytes %d-%d/%d" %
                        (start, len(DATA) - 1, len(DATA))}, len(part))
        else:
            self.answer(DATA[:cut], 200, {"ETag": tag}, len(DATA))

    def do_GET(self):
        path, port = self.path.split("?")[0], self.server.server_address[1]
        seen[path] = seen.get(path, 0) + 1
        if path.startswith("/v2/"):
            return self.registry(path.split("/"))
        if path == "/file":
            self.answer(DATA)
        elif path == "/html":
            self.answer(b"\n <!DOCTYPE html><html><body>Please log in</body></html>", 200, {"Content-Type": "text/html"})
        elif path == "/loop":
            self.redirect("/loop")
        elif path == "/to-file":
            self.redirect("file:///etc/passwd")
        elif path == "/to-good":
            self.redirect("http://localhost:%d/file" % port)
        elif path == "/stall":
            self.answer(DATA[:10], 200, {}, len(DATA))
            self.wfile.flush()
            self.say("stalls")
            forever.wait()
        elif path == "/short":
            self.answer(DATA[:100], 200, {}, len(DATA))
        elif path == "/endless":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while True:
                self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        elif path == "/drops":  # the first answer breaks off, the next goes on
            self.ranged('"one"', 500000 if seen[path] == 1 else None)
        elif path == "/changes":  # and here it is another version by then
            self.ranged('"v%d"' % seen[path], 500000 if seen[path] == 1 else None)
        elif path == "/wrong-range":
            if self.headers.get("Range"):
                self.answer(DATA[7:], 206, {"ETag": '"one"', "Content-Range": "bytes 7-%d/%d" % (len(DATA) - 1, len(DATA))})
            else:
                self.ranged('"one"', 500000 if seen[path] == 1 else None)
        elif path == "/headers":
            self.send_response(200)
            for i in range(10000):
                self.send_header("X-%d" % i, "y" * 100)
            self.end_headers()
        elif path == "/token":
            self.say("token", self.headers.get("Authorization"), self.path)
            self.answer(json.dumps({"token": "secret"}).encode())
        elif path.startswith("/elsewhere/"):
            self.say("elsewhere", self.headers.get("Authorization"))
            self.blob(path.split("/")[-1])
        else:
            self.answer(b"not here", 404)

    def blob(self, name, change=lambda data: data):
        try:
            with open(os.path.join(layout, "blobs", "sha256", name), "rb") as f:
                self.answer(change(f.read()))
        except OSError:
            self.answer(b"{}", 404)

    def registry(self, words):
        mode, kind, name, port = words[2], words[4], words[5], self.server.server_address[1]
        if mode == "token" and self.headers.get("Authorization") != "Bearer secret":
            return self.answer(b"{}", 401, {"WWW-Authenticate":
                'Bearer realm="http://127.0.0.1:%d/token",service="a b",scope="repository:x:pull"' % port})
        if mode == "basic" and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"me:pw").decode():
            return self.answer(b"{}", 401, {"WWW-Authenticate": 'Basic realm="x"'})
        if mode == "html":
            return self.answer(b"<html>hello</html>", 200, {"Content-Type": "text/html"})
        if mode == "stall":
            self.answer(b"{", 200, {}, 1000)
            self.wfile.flush()
            return forever.wait()
        if kind == "manifests":
            if name.startswith("sha256:"):
                return self.blob(name[7:])
            with open(os.path.join(layout, "index.json")) as f:
                first = json.load(f)["manifests"][0]["digest"]
            lie = (lambda d: d.replace(b"linux", b"linus")) if mode == "manifest" else (lambda d: d)
            with open(os.path.join(layout, "blobs", "sha256", first[7:]), "rb") as f:
                return self.answer(f.read(), 200, {"Docker-Content-Digest": "sha256:" + "0" * 64 if mode == "manifest" else first})
        if mode in ("redirect", "token"):
            return self.redirect("http://localhost:%d/elsewhere/%s" % (port, name[7:]))
        change = {"flip": lambda d: d[:-1] + bytes([d[-1] ^ 1]), "short": lambda d: d[:-1],
                  "long": lambda d: d + b"x"}.get(mode, lambda d: d)
        self.blob(name[7:], change)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *words):
        pass  # the other side has had enough


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
