"""`python -P -m tasks worker ...`: Celery's command line for our app, safe in any current directory.

`celery -A tasks` does the same, but it imports a `tasks` in the current directory in place of ours. It also patches the
standard library for `-P gevent` and `-P eventlet` before it loads our app, which refuses those pools.
"""

import sys
from pathlib import Path

from celery.bin.celery import main

if __name__ == "__main__":
    # Celery puts the current directory first while it imports modules, unless the path contains it already.
    sys.path.append(str(Path.cwd()))
    sys.argv = ["celery", "-A", "tasks", *sys.argv[1:]]
    sys.exit(main())
