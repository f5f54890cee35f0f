"""Other queues in Python, with a job that does nothing: what ours is measured beside.

peers.py work PEER REDIS-PORT              one worker process, as fast as the peer has it
peers.py fill PEER REDIS-PORT JOBS         queues JOBS empty jobs
peers.py push PEER REDIS-PORT COUNT GAP    queues COUNT stamped jobs, GAP ms apart
"""

import asyncio
import importlib.metadata
import os
import sys
import time

import redis

mode, peer = sys.argv[1], sys.argv[2]
port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
url = f"redis://127.0.0.1:{port}/0"
results = redis.Redis(port=port)


def nothing():
    pass


def stamp(pushed):
    results.rpush("bench:latency", time.time() - pushed)


class RQ:
    def __init__(self):
        import peers  # RQ names a job by its module, which must not be the main one.
        from rq import Queue

        self.jobs = peers
        self.queue = Queue(connection=results)

    def work(self):
        from rq import SimpleWorker  # Its other worker forks for every job.

        SimpleWorker([self.queue], connection=results).work(logging_level="WARNING")

    def nothing(self):
        self.queue.enqueue(self.jobs.nothing, result_ttl=0)

    def stamped(self):
        self.queue.enqueue(self.jobs.stamp, time.time(), result_ttl=0)


class Celery:
    def __init__(self):
        from celery import Celery

        self.app = Celery("bench", broker=url)
        self.app.conf.task_ignore_result = True
        self._nothing = self.app.task(nothing, name="nothing")
        self._stamp = self.app.task(stamp, name="stamp")

    def work(self):
        # One process without children: for a job that does nothing, handing it to a child costs more than the job.
        self.app.worker_main(
            ["worker", "--pool=solo", "--concurrency=1", "--without-gossip", "--without-mingle", "--without-heartbeat",
             "--loglevel=ERROR", f"--hostname=bench-{os.getpid()}@%h"])

    def nothing(self):
        self._nothing.delay()

    def stamped(self):
        self._stamp.delay(time.time())


class Dramatiq:
    def __init__(self):
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker

        self.broker = RedisBroker(url=url)
        dramatiq.set_broker(self.broker)
        self._nothing = dramatiq.actor(nothing)
        self._stamp = dramatiq.actor(stamp)

    def work(self):
        import dramatiq

        dramatiq.Worker(self.broker, worker_threads=1).start()
        while True:
            time.sleep(3600)

    def nothing(self):
        self._nothing.send()

    def stamped(self):
        self._stamp.send(time.time())


async def arq_nothing(context):
    pass


async def arq_stamp(context, pushed):
    stamp(pushed)


class Arq:
    def __init__(self):
        from arq import create_pool
        from arq.connections import RedisSettings

        self.settings = RedisSettings(port=port)
        if mode != "work":
            self.loop = asyncio.new_event_loop()
            self.pool = self.loop.run_until_complete(create_pool(self.settings))

    def work(self):
        from arq.worker import Worker

        asyncio.set_event_loop(asyncio.new_event_loop())
        Worker(functions=[arq_nothing, arq_stamp], redis_settings=self.settings, keep_result=0).run()

    def nothing(self):
        self.loop.run_until_complete(self.pool.enqueue_job("arq_nothing"))

    def stamped(self):
        self.loop.run_until_complete(self.pool.enqueue_job("arq_stamp", time.time()))


def main():
    if mode == "version":
        print(importlib.metadata.version(peer))
        return
    it = {"rq": RQ, "celery": Celery, "dramatiq": Dramatiq, "arq": Arq}[peer]()
    if mode == "work":
        it.work()
    elif mode == "fill":
        for _ in range(int(sys.argv[4])):
            it.nothing()
    elif mode == "push":
        for _ in range(int(sys.argv[4])):
            it.stamped()
            time.sleep(float(sys.argv[5]) / 1000)


if __name__ == "__main__":
    main()
