"""A command that dies while it writes; `survival.py` runs it.

    survival_worker.py NAME COUNT SECONDS ARGUMENT ...

It ends so many seconds after the so manieth time that Python opens, renames or
removes a file, or makes a folder, with NAME in its path: by an alarm, which
ends a process as `kill -9` does, wherever it is, if nothing catches it.
"""

import os
import runpy
import signal
import sys

name, count, seconds, *arguments = sys.argv[1:]
left = int(count)
watched = ("open", "os.rename", "os.remove", "os.mkdir")


def watch(event: str, details: tuple) -> None:
    global left
    if event in watched and name in str(details[0]):
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left -= 1
        if left == 0:
            signal.setitimer(signal.ITIMER_REAL, float(seconds))


sys.argv[1:] = arguments
sys.addaudithook(watch)
runpy.run_module("keras_recurrent", run_name="__main__", alter_sys=True)
