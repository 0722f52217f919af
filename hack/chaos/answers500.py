#!/usr/bin/env python3
"""An API server that fails at everything: answers500.py PORT FOLDER, which holds the real one's apiserver.crt and apiserver.key."""
import http.server
import json
import ssl
import sys

STATUS = json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 500,
                     "reason": "InternalError", "message": "etcdserver: no leader"}).encode()


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def fail(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(STATUS)))
        self.end_headers()
        self.wfile.write(STATUS)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = fail

    def log_message(self, *words):
        pass


port, folder = int(sys.argv[1]), sys.argv[2]
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/apiserver.crt", f"{folder}/apiserver.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
