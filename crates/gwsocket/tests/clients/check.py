#!/usr/bin/env python3
"""Python's `websockets`, unmodified, against gwsocket: messages both ways, TLS, UNIX sockets, origins.

usage: check.py PATH-OF-GWSOCKET
"""

import asyncio
import os
import signal
import ssl
import struct
import subprocess
import sys
import tempfile

from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PROGRAM = sys.argv[1]
PATIENCE = 30


def record(client, kind, payload=b""):
    return struct.pack(">III", client, kind, len(payload)) + payload


class Server:
    """The program with its pipes, in a folder of its own."""

    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory()
        self.path = lambda name: os.path.join(self.folder.name, name)
        command = [PROGRAM, "--strict", f"--pipein={self.path('in')}", f"--pipeout={self.path('out')}"]
        self.process = subprocess.Popen(command + list(options), stderr=subprocess.PIPE)
        address = self.process.stderr.readline().decode()
        assert "listening on" in address, address
        self.port = address.strip().rsplit(":", 1)[-1]

    def __enter__(self):
        self.input = open(self.path("in"), "wb", buffering=0)
        self.output = open(self.path("out"), "rb")
        return self

    def read(self):
        header = self.output.read(12)
        client, kind, length = struct.unpack(">III", header)
        return client, kind, self.output.read(length) if length else b""

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0, "SIGTERM ends it with status 0"
        self.input.close()
        self.output.close()
        self.folder.cleanup()


async def messages():
    with Server("--port=0", "--addr=127.0.0.1", "--max-frame-size=4000000") as server:
        async with connect(f"ws://127.0.0.1:{server.port}/ticks", max_size=None) as client:
            assert server.read() == (1, 0x10, b"127.0.0.1".ljust(46, b"\0"))
            for payload in ["", "tick", "grüße", "x" * 3_000_000]:
                server_side = asyncio.to_thread(server.input.write, record(0, 1, payload.encode()))
                received, _ = await asyncio.gather(client.recv(), server_side)
                assert received == payload
                back = asyncio.to_thread(server.read)
                _, got = await asyncio.gather(client.send(payload), back)
                assert got == (1, 1, payload.encode())
            server.input.write(record(1, 2, bytes(range(256))))
            assert await client.recv() == bytes(range(256))
            await (await client.ping(b"are you there?"))
            # Fragments become one message.
            await client.send(["one ", "two ", "three"])
            assert server.read() == (1, 1, b"one two three")
        assert server.read() == (1, 8, b"")
        async with connect(f"ws://127.0.0.1:{server.port}/") as client:
            server.read()
            server.input.write(record(2, 8, struct.pack(">H", 4001) + b"enough"))
            try:
                await client.recv()
                raise AssertionError("it should be closed")
            except ConnectionClosed as closed:
                assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "enough"), closed


async def going_away():
    server = Server("--port=0", "--addr=127.0.0.1")
    with server:
        client = await connect(f"ws://127.0.0.1:{server.port}/")
        waiting = asyncio.ensure_future(client.recv())
        await asyncio.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        try:
            await waiting
            raise AssertionError("it should be closed")
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 1001, closed


async def origins():
    with Server("--port=0", "--addr=127.0.0.1", "--origin=https://ticks.example") as server:
        for origin in ["https://elsewhere.example", None]:
            try:
                await connect(f"ws://127.0.0.1:{server.port}/", origin=origin)
                raise AssertionError(f"{origin} should be refused")
            except InvalidStatus as refused:
                assert refused.response.status_code == 403
        async with connect(f"ws://127.0.0.1:{server.port}/", origin="https://ticks.example") as client:
            await client.send("let in")


async def unix():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        with Server(f"--unix-socket={path}") as server:
            async with unix_connect(path, uri="ws://localhost/") as client:
                assert server.read()[2] == b"unix".ljust(46, b"\0")
                server.input.write(record(0, 1, b"tick"))
                assert await client.recv() == "tick"
        assert not os.path.exists(path), "the socket is removed"


async def tls():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
                   "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(command, check=True, capture_output=True)
        with Server("--port=0", "--addr=127.0.0.1", f"--ssl-cert={cert}", f"--ssl-key={key}") as server:
            context = ssl.create_default_context(cafile=cert)
            async with connect(f"wss://localhost:{server.port}/", ssl=context, max_size=None) as client:
                payload = "x" * 1_000_000
                write = asyncio.to_thread(server.input.write, record(0, 1, payload.encode()))
                received, _ = await asyncio.gather(client.recv(), write)
                assert received == payload
                server.read()
                await client.send("encrypted")
                assert server.read() == (1, 1, b"encrypted")


async def many():
    """Twenty clients, five thousand messages, as fast as the pipe takes them."""
    count = 5_000
    with Server("--port=0", "--addr=127.0.0.1") as server:
        clients = [await connect(f"ws://127.0.0.1:{server.port}/", compression=None) for _ in range(20)]

        async def read(client):
            for number in range(count):
                assert await client.recv() == f"tick {number}"

        def write():
            for number in range(count):
                server.input.write(record(0, 1, f"tick {number}".encode()))

        await asyncio.gather(asyncio.to_thread(write), *(read(client) for client in clients))
        await asyncio.gather(*(client.close() for client in clients))


async def main():
    checks = [messages, going_away, origins, unix, tls, many]
    for check in checks:
        async with asyncio.timeout(PATIENCE):
            await check()
        print(f"websockets: {check.__name__} ok")
    print(f"websockets: {len(checks)} checks passed")


asyncio.run(main())
