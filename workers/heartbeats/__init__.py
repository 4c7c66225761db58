"""The coalescer: thousands of heartbeats a second are read, and a single writer writes one transaction a window.

    source -> window -> sink             one transaction a window, with the source's position in it
                 \\-> latest readings     published twice a second

A source yields records in order, each with its offset. The window folds them into one state a machine. The sink writes
the machines that changed and the position in one transaction. So the table always holds exactly the records up to its
position, whenever the process dies: no beat is lost and none is counted twice. Celery is not involved.
"""
