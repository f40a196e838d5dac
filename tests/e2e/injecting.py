# SPDX-License-Identifier: Apache-2.0
"""What tests of the injector stand on: its driver, servers under load, and clients that check."""

import json
import pathlib
import socket
import subprocess
import threading
import time

from harness import BUILD, Process, wait_until

TARGETS = pathlib.Path(__file__).resolve().parent.parent / "targets"
LIBRARIES = (BUILD / "libpprofd.so", BUILD / "libpprofd-musl.so")

PYTHON_SERVER = r"""
import socketserver, sys, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            parts = [bytes([byte]) * 600 for byte in line]
            self.wfile.write(b"".join(part[:1] for part in parts))
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
server = Server(sys.argv[1], Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


class Driver(Process):
    """build/inject-driver."""

    def __init__(self, glibc=LIBRARIES[0], musl=LIBRARIES[1], interval=0):
        super().__init__([BUILD / "inject-driver", glibc or "", musl or "", interval])
        self.expect("ready")

    def ask(self, text, timeout=30):
        self.send(text)
        return json.loads(self.line(timeout))

    def do(self, text):
        """What must succeed."""
        answer = self.ask(text)
        assert answer["err"] == 0, (text, answer)
        return answer

    def stop(self):
        self.close_stdin()
        assert self.wait() == 0, self.stderr()


class Client(threading.Thread):
    """Asks one connection over and over, and checks every answer."""

    def __init__(self, path, is_redis):
        super().__init__(daemon=True)
        self.path, self.is_redis = path, is_redis
        self.answers, self.longest, self.error = 0, 0.0, None
        self.should_end = threading.Event()
        self.start()

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(20)
                connection.connect(str(self.path))
                with connection.makefile("rwb") as stream:
                    while not self.should_end.is_set():
                        self.ask(stream)
        except Exception as error:  # whatever it is, the test must see it
            self.error = error

    def ask(self, stream):
        text = b"request %d" % self.answers
        begin = time.monotonic()
        stream.write(b'ECHO "%s"\r\n' % text if self.is_redis else text + b"\n")
        stream.flush()
        if self.is_redis:
            assert stream.readline() == b"$%d\r\n" % len(text)
        answer = stream.readline().strip()
        assert answer == text, (answer, text)
        self.longest = max(self.longest, time.monotonic() - begin)
        self.answers += 1

    def stop(self):
        self.should_end.set()
        self.join(30)
        assert not self.is_alive() and self.error is None, self.error
        return self.answers


class Server:
    """A server of this name that clients keep busy."""

    NAMES = ("redis-server", "python3", "java", "c++")

    def __init__(self, name, folder, clients=3):
        self.name, self.path = name, pathlib.Path(folder) / f"{name}.sock"
        self.process = Process(self.command(name, pathlib.Path(folder)))
        if name == "redis-server":
            wait_until(self.path.exists, 10, name)
        else:
            self.process.expect("ready")
        self.pid = self.process.pid
        self.clients = [Client(self.path, name == "redis-server") for _ in range(clients)]
        wait_until(lambda: all(client.answers > 10 for client in self.clients), 20, name)

    def command(self, name, folder):
        if name == "redis-server":
            return ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "",
                    "--appendonly", "no"]
        if name == "python3":
            return ["/usr/bin/python3", "-c", PYTHON_SERVER, self.path]
        if name == "java":
            if not (folder / "EchoServer.class").exists():
                subprocess.run(["javac", "-d", folder, TARGETS / "EchoServer.java"], check=True)
            return ["java", "-Xmx64m", "-cp", folder, "EchoServer", self.path]
        program = folder / "echo-server"
        if not program.exists():
            subprocess.run(["g++", "-O2", "-g", "-o", program, TARGETS / "echo-server.cc",
                            "-lpthread"], check=True)
        return [program, self.path]

    def answers(self):
        return sum(client.answers for client in self.clients)

    def rate(self, seconds):
        """Answers a second from now."""
        before, begin = self.answers(), time.monotonic()
        time.sleep(seconds)
        return (self.answers() - before) / (time.monotonic() - begin)

    def stop(self):
        """Every request was answered, and rightly, and the server is well to the end."""
        answers = sum(client.stop() for client in self.clients)
        assert self.process.is_running(), self.process.stderr()
        if self.name == "redis-server":
            self.process.child.terminate()
        self.process.close_stdin()
        assert self.process.wait() == 0, self.process.stderr()
        if self.name != "redis-server":
            assert self.process.stderr() == ""
        return answers

    def kill(self):
        for client in self.clients:
            client.should_end.set()
        self.process.kill()
        self.path.unlink(missing_ok=True)
