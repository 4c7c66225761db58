"""The coalescer: heartbeats by the thousand a second in, one quiet writer out.

    source -> window -> sink         one transaction a window, the source's position in it
                 \\-> live            the latest readings, each second

A source gives records in order, each with its offset. The window folds them into one state a machine. The sink writes
the machines that changed and the position in one transaction, so whatever dies, and whenever, the table says what the
records up to its position say: nothing is lost and nothing counted twice. Celery has no part in this.
"""
