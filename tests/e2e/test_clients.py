# SPDX-License-Identifier: Apache-2.0
"""Clients that hang, hang up or send garbage, and the other kinds of listeners."""

import select
import socket
import time

import pytest

from harness import Agent, Target, ask, cpu_seconds, free_port, wait_until


@pytest.fixture(scope="module")
def served():
    """One target and an agent on it, for all tests of this file."""
    process = Target("known-counts")
    agent = None
    try:
        process.ready()
        agent = Agent("--pid", str(process.pid)).ready()
        yield agent
        agent.stop()
    finally:
        for started in (agent, process):
            if started:
                started.kill()


def connect(agent):
    host, port = agent.listen.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def send_raw(agent, data):
    """What the agent answers to these bytes before it closes."""
    answer = b""
    with connect(agent) as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except TimeoutError:
            raise
        except OSError:  # closed before we were done
            pass
        try:
            while chunk := client.recv(65536):
                answer += chunk
        except ConnectionResetError:  # so many bytes it did not want to read
            pass
    return answer


def answered(clients):
    """Those of them that have an answer, or have been hung up on."""
    return select.select(clients, [], [], 0)[0]


def assert_answers(agent, held=()):
    """Before any of the clients that it holds."""
    assert agent.get("/-/healthy").status == 200
    assert not answered(held)


def assert_refused(answer):
    assert answer.startswith(b"HTTP/1.")
    assert b" 200 " not in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("data", [
    b"",
    b"\n",
    b"\0" * 4096,
    bytes(range(256)) * 64,
    b"GET\r\n\r\n",
    b"GET /debug/pprof/heap\r\n\r\n",
    b"GET /debug/pprof/heap HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200000 + b"\r\n\r\n",
    b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n0x1",
    b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n0x1",
    b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n0x1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x42" * 500,
], ids=lambda data: repr(data[:24]))
def test_garbage_does_no_harm(served, data):
    answer = send_raw(served, data)
    assert not answer or answer.startswith(b"HTTP/1.")
    assert_answers(served)


def test_a_chunked_body_is_refused(served):
    answer = send_raw(served, b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n3\r\n0x1\r\n0\r\n\r\n")
    assert_refused(answer)
    assert_answers(served)


def test_an_oversized_body_is_refused(served):
    answer = send_raw(served, b"POST /debug/pprof/symbol HTTP/1.1\r\nHost: x\r\n"
                              b"Content-Length: 20000000\r\n\r\n" + b"0x1+" * 5000000)
    assert_refused(answer)
    assert_answers(served)


@pytest.mark.parametrize("path", ["/debug/pprof/../../etc/passwd", "/../../../../etc/passwd",
                                  "/%2e%2e/%2e%2e/etc/passwd", "/debug/pprof/heap%00",
                                  "//debug/pprof/heap"])
def test_no_path_leads_to_files(served, path):
    answer = send_raw(served, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert b"root:" not in answer
    assert_refused(answer)


@pytest.mark.parametrize("path", ["/debug/pprof/<reflect>", "/<reflect>", "/debug/pprof/?<reflect>",
                                  "/debug/pprof/heap?seconds=<reflect>", "/pid/<reflect>/heap",
                                  "/debug/pprof/symbol?<reflect>"])
def test_no_request_text_comes_back(served, path):
    answer = send_raw(served, f"GET {path} HTTP/1.0\r\nX-Header: <reflect>\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.")
    assert b"reflect" not in answer


def test_clients_that_hang_up_in_a_capture_free_their_place(served):
    for _ in range(60):
        with connect(served) as client:
            client.sendall(b"GET /debug/pprof/profile?seconds=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.02)

    def capture_works():
        try:
            return served.get("/debug/pprof/profile?seconds=1", timeout=20).status == 200
        except OSError:
            return False
    wait_until(capture_works, 15, "the abandoned captures to end")
    assert_answers(served)


def test_many_long_captures_leave_room_for_health(served):
    clients = [connect(served) for _ in range(40)]
    try:
        for client in clients:
            client.sendall(b"GET /debug/pprof/profile?seconds=100 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: len(answered(clients)) + served.spans(100) == len(clients), 20,
                   "each to be held or refused")
        refused = answered(clients)
        assert len(refused) < len(clients)
        assert_answers(served, [client for client in clients if client not in refused])
        assert served.get("/metrics", timeout=10).status == 200
    finally:
        for client in clients:
            client.close()


def test_slow_clients_keep_nobody_waiting(served):
    clients = [connect(served) for _ in range(20)]
    try:
        for byte in b"GET /debug/pprof/heap HT":
            for client in clients:
                client.sendall(bytes([byte]))
        assert_answers(served, clients)
    finally:
        for client in clients:
            client.close()


def test_a_client_that_does_not_read_keeps_nobody_waiting(served):
    with connect(served) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        client.sendall(b"GET /debug/pprof/ HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        time.sleep(0.5)
        assert_answers(served)


def test_idle_connections_cost_no_cpu(served):
    clients = [connect(served) for _ in range(20)]
    try:
        before = cpu_seconds(served.pid)
        time.sleep(3)
        assert cpu_seconds(served.pid) - before < 0.3
    finally:
        for client in clients:
            client.close()


def test_a_signal_ends_it_in_the_middle_of_a_capture(agent, target):
    watcher = agent("--pid", target("known-counts").pid)
    with connect(watcher) as client:
        client.sendall(b"GET /debug/pprof/profile?seconds=30 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)
        begin = time.monotonic()
        watcher.stop()
        assert time.monotonic() - begin < 10


def test_it_listens_on_ipv6_and_on_unix_sockets_too(agent, target, folder):
    try:
        port = free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    path = f"unix:{folder}/pprofd.sock"
    process = target("known-counts")
    watcher = agent("--pid", process.pid, "--listen", f"[::1]:{port}", "--listen", path)
    for listen in (watcher.listen, f"[::1]:{port}", path):
        assert ask(listen, "/-/healthy").status == 200
        assert ask(listen, "/debug/pprof/heap").status == 200
    watcher.stop()


def test_a_unix_socket_can_be_used_again(agent, target, folder):
    process = target("known-counts")
    listen = f"unix:{folder}/pprofd.sock"
    agent("--pid", process.pid, listen=listen).stop()
    watcher = agent("--pid", process.pid, listen=listen)
    watcher.signal(9)
    watcher.wait()
    agent("--pid", process.pid, listen=listen).stop()
