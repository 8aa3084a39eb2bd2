"""Load on a server from another process, for benchmarks/serve.py: prints the latencies as JSON.

python serve_load.py URL_PATH PORT CLIENTS SECONDS TEXTS.json
"""

import asyncio
import json
import sys
import time
from pathlib import Path


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, body: bytes) -> int:
    """Send one request on an open connection, and return the status."""
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await reader.readexactly(length)
    return status


async def client(number: int, bodies: list[bytes], head: str, port: int, until: float, seen: list[list[float]]) -> None:
    """Send requests one after the other until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    index = number * 37
    while (begin := time.perf_counter()) < until:
        status = await request(reader, writer, head, bodies[index % len(bodies)])
        end = time.perf_counter()
        seen.append([begin, end - begin, status])
        if status in (429, 503):
            await asyncio.sleep(0.01)
        index += 1
    writer.close()


async def main(path: str, port: int, clients: int, seconds: float, texts: list[str]) -> None:
    """Run the clients, and print a list of start, seconds and status of each request."""
    bodies = [json.dumps({"inputs": text}).encode() for text in texts]
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    seen: list[list[float]] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*[client(number, bodies, head, port, until, seen) for number in range(clients)])
    print(json.dumps(seen))


if __name__ == "__main__":
    given_path, given_port, given_clients, given_seconds, file = sys.argv[1:]
    given_texts = json.loads(Path(file).read_text(encoding="utf-8"))
    asyncio.run(main(given_path, int(given_port), int(given_clients), float(given_seconds), given_texts))
