"""Builds what is to be tested while tests run: the processors that a test leaves idle compile the next programs."""

import os
import queue
import re
import signal
import subprocess
import threading
import time


class BuildFailed(Exception):
    pass


class Build:
    """One build directory. The builder's thread fills it, and the runner's thread takes from it."""

    def __init__(self, name, make):
        self.name = name
        self.make = make  # a generator: yields the tests of a suite as soon as they are built
        self.pieces = queue.SimpleQueue()
        self.processor_seconds = 0.0

    def take(self):
        """Yields the tests suite by suite; waits for each suite. Throws BuildFailed at the place of one that does not build."""
        while True:
            piece = self.pieces.get()
            if piece is None or isinstance(piece, BuildFailed):
                self.pieces.put(piece)  # the end, for the next step with this build
                if piece:
                    raise piece
                return
            yield piece

    def finish(self):
        """Waits until all is built. Throws BuildFailed."""
        for _ in self.take():
            pass


class Builder:
    """A thread that makes the builds in the order of their submission, one at a time."""

    def __init__(self, progress):
        self.progress = progress
        self.orders = queue.SimpleQueue()
        self.process = None
        self.stopping = False
        threading.Thread(target=self._work, daemon=True).start()

    def submit(self, build):
        self.orders.put(build)

    def stop(self):
        """Ends the command that runs, with its children; it is in a process group of its own."""
        self.stopping = True
        process = self.process
        if process and process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass

    def run(self, build, words, settings):
        """A command of a build. Its processor time is the build's. Throws BuildFailed with what the command said."""
        if self.stopping:
            raise BuildFailed("ended before all was built")
        # Its process group is its own, so that the end of this program can end the compilers.
        self.process = subprocess.Popen(words, env=os.environ | settings, stdout=subprocess.PIPE, start_new_session=True,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        # A tenth of a processor that a test wants. What it starts later inherits that.
        os.setpriority(os.PRIO_PROCESS, self.process.pid, os.getpriority(os.PRIO_PROCESS, 0) + 10)
        lines = []
        with self.process.stdout:
            for line in self.process.stdout:
                lines.append(line.rstrip("\n"))
                if step := re.match(r"\[(\d+/\d+)\]", line):
                    self.progress.builds(f"{build.name} {step[1]}")
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        build.processor_seconds += usage.ru_utime + usage.ru_stime
        if self.process.returncode != 0:
            raise BuildFailed("\n".join([f"$ {' '.join(words)}", *lines[-300:]]))

    def _work(self):
        while not self.stopping:
            build = self.orders.get()
            self.progress.builds(build.name)
            try:
                for piece in build.make(build):
                    build.pieces.put(piece)
                build.pieces.put(None)
            except Exception as error:  # an error of this code, too, has to end the wait of the runner
                build.pieces.put(error if isinstance(error, BuildFailed) else BuildFailed(repr(error)))
            self.progress.builds("")


class Progress:
    """Tells what runs and what is built: on a terminal in one line that changes, elsewhere by a line now and then."""

    SECONDS_BETWEEN_LINES = 30  # of a log: two a minute show that a run of 20 minutes is alive

    def __init__(self, out):
        self.out = out
        self.terminal = out.isatty()
        self.started = time.monotonic()
        self.lock = threading.Lock()
        self.built = self.tested = ""
        self.since = self.started
        self.shown = False
        self.over = threading.Event()
        threading.Thread(target=self._tick, daemon=True).start()

    def builds(self, what):
        self.built = what

    def tests(self, what):
        self.since = time.monotonic()
        self.tested = what

    def say(self, text):
        with self.lock:
            self._wipe()
            print(text, file=self.out, flush=True)

    def end(self):
        self.over.set()
        with self.lock:
            self._wipe()

    def line(self):
        now = time.monotonic()
        parts = [f"runs {self.tested} for {now - self.since:.0f} s"] if self.tested else []
        parts += [f"builds {self.built}"] if self.built else []
        return f"    [{now - self.started:.0f} s] {', '.join(parts)}" if parts else ""

    def _wipe(self):
        if self.shown:
            print("\r\033[K", end="", file=self.out)
            self.shown = False

    def _tick(self):
        while not self.over.wait(1 if self.terminal else self.SECONDS_BETWEEN_LINES):
            with self.lock:
                line = self.line()
                if not line or self.over.is_set():
                    continue
                if self.terminal:
                    self._wipe()
                    print(line, end="", file=self.out, flush=True)
                    self.shown = True
                else:
                    print(line, file=self.out, flush=True)
