#!/usr/bin/env python3
"""ClickHouse's HTTP interface over its real engine in this process (chdb), for tests.

clickhouse_front.py PORT FOLDER [CERTIFICATE KEY]

Data stay in FOLDER, also after kill -9. CLICKHOUSE_USER and CLICKHOUSE_PASSWORD must be given by requests.
As the server: POST /?query=...&database=...&query_id=...&param_x=...&setting=..., the data of an INSERT as the body, also with
Content-Encoding; exceptions with their code in a header; a query_id that is running is refused.
Unlike the server: statements run one after the other, and input() reads the body from a file.

Faults, one for each of the next COUNT inserts: POST /fault?kind=KIND&count=COUNT
  lose     carries it out and closes the connection
  detach   closes the connection, and carries it out a second later
  hang     carries it out and does not answer for 60 s
  refuse   answers with the exception &code=243&text=...
  html     answers with a page
"""
import os
import re
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

USER = os.environ.get("CLICKHOUSE_USER", "default")
PASSWORD = os.environ.get("CLICKHOUSE_PASSWORD", "")
NOT_SETTINGS = {"query", "database", "default_format", "query_id", "user", "password", "wait_end_of_query", "buffer_size"}
SUFFIXES = {None: "", "": "", "gzip": ".gz", "zstd": ".zst", "lz4": ".lz4", "br": ".br"}
STATUS = {60: 404, 81: 404, 516: 403, 497: 403, 62: 400, 47: 404, 216: 500}
INPUT = re.compile(r"\binput\(('(?:[^'\\]|\\.)*')\)")
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*$", re.I)

folder = sys.argv[2]
engine = session.Session(folder + "/data")
one = threading.Lock()  # for the engine
state = threading.Lock()  # for what follows
running, faults = set(), []


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def execute(query, options, data, encoding):
    """Carries out one statement; its result."""
    path = None
    changed = []
    with one:
        try:
            if data:
                path = f"{folder}/body{SUFFIXES[encoding]}"
                with open(path, "wb") as file:
                    file.write(data)
                form = FORMAT.search(query)
                query = query[: form.start()]
                source = f"file({literal(path)}, {literal(form[1])}, \\1)"
                if INPUT.search(query):
                    query = INPUT.sub(lambda found: source.replace("\\1", found[1]), query)
                else:
                    query = f"{query} FROM INFILE {literal(path)} FORMAT {form[1]}"
            engine.query("USE `" + options.get("database", "default").replace("`", "\\`") + "`")
            given = {name: value for name, value in options.items() if name not in NOT_SETTINGS}
            changed = [name for name in given if not name.startswith("param_")]
            if given:
                engine.query("SET " + ", ".join(f"{name} = {literal(value)}" for name, value in given.items()))
            return engine.query(query, options.get("default_format", "TabSeparated")).bytes()
        except Refused:
            raise
        except Exception as error:
            text = str(error)
            code = re.search(r"Code: (\d+)", text)
            raise Refused(int(code[1]) if code else 1000, text[code.start() :] if code else text)
        finally:
            try:
                if changed:
                    engine.query("SET " + ", ".join(f"{name} = DEFAULT" for name in changed))
            except Exception:
                pass
            if path:
                os.unlink(path)


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def text(self, name):
        """A header, whose octets Python takes for Latin-1."""
        return self.headers.get(name, "").encode("latin-1").decode()

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def exception(self, code, text):
        text = text if text.startswith("Code: ") else f"Code: {code}. DB::Exception: {text}"
        print(text[:2000], flush=True)
        headers = {"Content-Type": "text/plain; charset=UTF-8", "X-ClickHouse-Exception-Code": str(code)}
        self.answer(STATUS.get(code, 500), (text + " (version 26.9.2.1)\n").encode(), headers)

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while length := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        length = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(length)
        if len(data) != length:
            raise ConnectionError("the body is not complete")
        return data

    def do_GET(self):
        if self.path == "/ping":
            return self.answer(200, b"Ok.\n", {})
        self.do_POST()

    def do_POST(self):
        url = urlsplit(self.path)
        options = dict(parse_qsl(url.query, keep_blank_values=True))
        body = self.body()
        if url.path == "/fault":
            with state:
                faults.extend([options] * int(options.get("count", 1)))
            return self.answer(200, b"", {})
        user = self.text("X-ClickHouse-User") or options.get("user", "default")
        password = self.text("X-ClickHouse-Key") or options.get("password", "")
        if (user, password) != (USER, PASSWORD):
            text = f"{user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)"
            return self.exception(516, text)
        query, data = options.get("query", ""), body
        if not query:
            query, data = body.decode(), b""
        fault = None
        if query.lstrip().upper().startswith("INSERT"):
            with state:
                fault = faults.pop(0) if faults else None
        kind = fault and fault["kind"]
        if kind == "refuse":
            return self.exception(int(fault["code"]), fault["text"])
        if kind == "html":
            return self.answer(200, b"<html><body>It works!</body></html>", {"Content-Type": "text/html"})
        identity = options.get("query_id")
        try:
            with state:
                if identity and identity in running:
                    raise Refused(216, f"Query with id = {identity} is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)")
                running.add(identity)
            if kind == "detach":
                self.connection.shutdown(socket.SHUT_RDWR)
                time.sleep(1)
            try:
                result = execute(query, options, data, self.headers.get("Content-Encoding"))
            finally:
                with state:
                    running.discard(identity)
        except Refused as refused:
            return self.exception(refused.code, refused.text)
        if kind == "hang":
            time.sleep(60)
        if kind in ("lose", "hang", "detach"):
            self.close_connection = True
            return None
        headers = {"X-ClickHouse-Summary": "{}", "X-ClickHouse-Query-Id": identity or "", "X-ClickHouse-Format": "TabSeparated"}
        return self.answer(200, result, headers)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError, TimeoutError)):
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", int(sys.argv[1])), Front)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    # A handshake must not keep others from being accepted.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
