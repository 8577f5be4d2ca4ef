"""Ask a server, from several clients at a time, and say how long each answer took.

ask_server.py URL FILE MEDIA CLIENTS REQUESTS -> {"wall": 1.2, "p50": 0.003, "p95": 0.007, "p99": 0.011}

A client is a thread with one connection, which asks again as soon as it is answered, in the form in which it asked.
"""

import http.client
import json
import sys
import threading
import time
from urllib.parse import urlsplit


def ask(url: str, body: bytes, media: str, requests: int, seconds: list[float], errors: list[str]) -> None:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        for _ in range(requests):
            began = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": media, "Accept": media})
            answer = connection.getresponse()
            said = answer.read()
            seconds.append(time.perf_counter() - began)
            if answer.status != 200 or answer.getheader("Content-Type") != media:
                errors.append(f"{answer.status}: {said[:200]!r}")
    except (OSError, http.client.HTTPException) as error:
        errors.append(repr(error))
    finally:
        connection.close()


def main(url: str, file: str, media: str, clients: int, requests: int) -> None:
    with open(file, "rb") as stream:
        body = stream.read()
    seconds: list[float] = []
    errors: list[str] = []
    shares = [requests // clients + (place < requests % clients) for place in range(clients)]
    threads = [
        threading.Thread(target=ask, args=(url, body, media, share, seconds, errors)) for share in shares
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    if errors or len(seconds) != requests:
        sys.exit(
            f"{len(errors)} errors in {len(seconds)} answers to {requests} requests; the first: {errors[:1]}"
        )
    seconds.sort()
    found = {f"p{share}": seconds[min(requests * share // 100, requests - 1)] for share in (50, 95, 99)}
    print(json.dumps({"wall": wall, **found}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
