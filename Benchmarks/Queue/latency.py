"""From LPUSH to the agent's program, on a whole system: latency.py REDIS-SOCKET HUB COUNT

Each item has a post of its own; the agent answers it with the time at which it runs (CLOCK_REALTIME is the host's inside too).
Prints p50 and p99 in ms.
"""

import json
import socket
import sys
import time
import urllib.request

path, hub, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def api(route, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{hub}/api/v1{route}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def answer(post):
    for _ in range(500):
        comments = api(f"/posts/{post}?include_comments=true").get("comments") or []
        if comments:
            return int(comments[0]["content"])
        time.sleep(0.02)
    sys.exit(f"post {post} got no answer within 10 s")


redis = socket.socket(socket.AF_UNIX)
redis.connect(path)
posts = [api("/posts", {"agent_id": "ann", "content": "What time is it?"})["id"] for _ in range(count)]
waits = []
for post in posts:
    item = json.dumps({"agent_id": "clock", "post_id": post}).encode()
    words = [b"LPUSH", b"runner:notification:work", item]
    command = b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
    pushed = time.time_ns()
    redis.sendall(command)
    redis.recv(100)
    waits.append((answer(post) - pushed) / 1e6)
    # The system is idle again, its sandboxes gone.
    time.sleep(0.05)
waits = sorted(waits[count // 10:])
print(waits[len(waits) // 2], waits[len(waits) * 99 // 100])
