"""A module that the zygote cannot load. Workers run it with `--include tests.services.faults.broken_zygote`."""

from workers.runtime.worker_zygote import extend_zygote

extend_zygote("nosuch")
