# SPDX-License-Identifier: Apache-2.0
# A cloud's metadata service at 169.254.169.254, of the kind its argument names: those that are, as
# strict as they are about headers, and some that nobody would like to meet.
import base64, socket, sys, threading, time

kind = sys.argv[1]
user = f"T_FROM={kind}\n".encode()
name = f"host-{kind}.internal".encode()
real = {
    "gcp": ("/computeMetadata/v1/instance/hostname", "/computeMetadata/v1/instance/attributes/user-data"),
    "ec2": ("/latest/meta-data/local-hostname", "/latest/user-data"),
    "ec2v1": ("/latest/meta-data/local-hostname", "/latest/user-data"),
    "openstack": ("/latest/meta-data/local-hostname", "/openstack/latest/user_data"),
    "digitalocean": ("/metadata/v1/hostname", "/metadata/v1/user-data"),
    "hetzner": ("/hetzner/v1/metadata/hostname", "/hetzner/v1/userdata"),
    "vultr": ("/v1/hostname", "/latest/user-data"),
    "azure": ("/metadata/instance/compute/name?api-version=2021-02-01&format=text",
              "/metadata/instance/compute/userData?api-version=2021-02-01&format=text"),
    "chunked": ("/metadata/v1/hostname", "/metadata/v1/user-data"),
    "badname": ("/metadata/v1/hostname", "/metadata/v1/user-data"),
}
if kind == "openstack":  # it serves as EC2 does, too
    real_also = {"/latest/user-data": user}
else:
    real_also = {}


def answer(head):
    lines = head.decode().split("\r\n")
    method, path, version = lines[0].split(" ")
    headers = {k.lower(): v for k, v in (l.split(": ", 1) for l in lines[1:] if l)}
    extra = b""
    assert version == "HTTP/1.1" and headers["host"] == "169.254.169.254" and headers["connection"] == "close", head
    if kind == "ec2" and method == "PUT" and path == "/latest/api/token":
        assert headers["x-aws-ec2-metadata-token-ttl-seconds"].isdigit() and headers["content-length"] == "0", head
        return b"200 OK", b"the+token==", b""
    if method != "GET":
        return b"405 Method Not Allowed", b"no", b""
    if kind == "ec2" and headers.get("x-aws-ec2-metadata-token") != "the+token==":
        return b"401 Unauthorized", b"who are you?", b""
    if kind == "gcp":
        extra = b"Metadata-Flavor: Google\r\n"
        if headers.get("metadata-flavor") != "Google":
            return b"403 Forbidden", b"no header", b""
    if kind == "azure" and headers.get("metadata") != "true":
        return b"400 Bad Request", b"no header", b""
    host, data = real[kind]
    if path == host:
        return b"200 OK", b"-bad name-" if kind == "badname" else name, extra
    if path == data:
        return b"200 OK", base64.b64encode(user) if kind == "azure" else user, extra
    if path in real_also:
        return b"200 OK", real_also[path], extra
    return b"404 Not Found", b"<html>not here</html>", extra


def drip(c, piece, pause):
    while True:
        c.sendall(piece)
        time.sleep(pause)


def serve(c):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = c.recv(4096)
        if not piece:
            return
        head += piece
    if kind in real:
        status, body, extra = answer(head)
        if kind == "chunked":
            c.sendall(b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      b"".join(b"%x;x=y\r\n%c\r\n" % (1, b) for b in body) + b"0\r\n\r\n")
        else:
            c.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n" % len(body) + extra + b"\r\n" + body)
        print("ok", head.split(b"\r\n")[0], status, flush=True)
    elif kind == "endless":
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        drip(c, b"x" * 65536, 0)
    elif kind == "chunked-endless":
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        drip(c, b"1\r\nx\r\n" * 1000, 0)
    elif kind == "header-endless":
        c.sendall(b"HTTP/1.1 200 OK\r\n")
        drip(c, b"X: y\r\n" * 1000, 0)
    elif kind == "slow":
        drip(c, b"H" if False else b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\n"[:1], 0.2)
    elif kind == "silent":
        time.sleep(100)
    elif kind == "garbage":
        c.sendall(bytes(range(256)) * 10)
    elif kind == "huge":
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx")
    elif kind == "redirect":
        c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.2.2/\r\nContent-Length: 0\r\n\r\n")


def one(c):
    try:
        serve(c)
    except OSError:
        pass
    finally:
        c.close()


if kind == "refused":
    open("ready", "w")
    time.sleep(1000)
l = socket.create_server(("169.254.169.254", 80), backlog=16)
open("ready", "w")
while True:
    threading.Thread(target=one, args=l.accept()[:1], daemon=True).start()
