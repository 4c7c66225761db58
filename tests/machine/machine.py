"""A Debian 12 virtual machine under software emulation: systemd as PID 1, cgroup v2 alone, Debian's kernel.

Needs root to build, and Debian's mmdebstrap, qemu-system-x86 and openssh-client. Hardware virtualization is not used,
so that the result does not depend on the host. Emulated code is about ten times slower than the host's.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = Path(__file__).with_name("image.sh")

# Port of the web tier in the machine.
WEB_PORT = 8080

# Seconds: until the machine accepts SSH connections (40 on an idle host), of a connection, and until it is off.
BOOT_TIMEOUT = 600.0
CONNECT_TIMEOUT = 30
SHUTDOWN_TIMEOUT = 180.0

# MiB. Two render workers of 512 MiB, the web tier, RabbitMQ, and the page cache.
MEMORY = 4096


class VirtualMachineError(Exception):
    """The machine did not do what it must; the message says where to look."""


class VirtualMachine:
    """A running machine. `url` is its web tier, through SSH."""

    def __init__(self, directory: Path, process: "subprocess.Popen[bytes]", ssh_port: int, web_port: int) -> None:
        self.url = f"http://127.0.0.1:{web_port}"
        self._directory = directory
        self._process = process
        self._ssh_port = ssh_port
        self._web_port = web_port

    def run(self, command: str, *, check: bool = True, timeout: float = 300) -> str:
        """Run a shell command as root in the machine. Returns its output.

        Raises VirtualMachineError with the output if it fails, or takes longer than `timeout` seconds.
        """
        try:
            done = subprocess.run(
                [*self._ssh(), "root@127.0.0.1", command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired as error:
            raise VirtualMachineError(f"{command}: no answer within {timeout:g} s. See {self.console}.") from error
        if check and done.returncode != 0:
            raise VirtualMachineError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    @property
    def console(self) -> Path:
        """The output of the kernel and of systemd."""
        return self._directory / "console.log"

    def shell(self) -> None:
        """Open a shell of root in the terminal of this process, until the user leaves it."""
        subprocess.run([*self._ssh(), "-t", "root@127.0.0.1"])

    def connect(self) -> None:
        """Wait until the machine accepts SSH connections, and keep one open, with a tunnel to its web tier.

        Raises VirtualMachineError if it does not do so in time.
        """
        tunnel = f"{self._web_port}:127.0.0.1:{WEB_PORT}"
        master = [*self._ssh(), "-M", "-N", "-f", "-L", tunnel, "root@127.0.0.1"]
        deadline = time.monotonic() + BOOT_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if subprocess.run(master, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                return
            time.sleep(2)
        raise VirtualMachineError(f"The machine does not accept connections. See {self.console}.")

    def shut_down(self) -> None:
        """Shut the machine down. If it does not end in time, end its process."""
        with contextlib.suppress(VirtualMachineError):
            self.run("systemctl poweroff", check=False, timeout=CONNECT_TIMEOUT)
        try:
            self._process.wait(SHUTDOWN_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process of the machine at once."""
        self._process.kill()
        self._process.wait()

    def _ssh(self) -> list[str]:
        options = {
            "IdentityFile": self._directory / "key",
            "ControlPath": self._directory / "ssh",
            "Port": self._ssh_port,
            "ConnectTimeout": CONNECT_TIMEOUT,
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "ExitOnForwardFailure": "yes",
        }
        return ["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in options.items())]


def build_image(directory: Path) -> None:
    """Build the image below `directory` unless it exists. Raises CalledProcessError."""
    if (directory / "disk.img").exists():
        return
    # In namespaces of its own: an interrupted build leaves no process, and no mount of /dev that a removal of
    # `directory` would enter.
    namespaces = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    subprocess.run([*namespaces, "sh", str(IMAGE), str(directory)], check=True)


@contextmanager
def running_machine(directory: Path, log: Callable[[str], None]) -> Iterator[VirtualMachine]:
    """Boot the machine of `directory`, and shut it down at the end. Raises VirtualMachineError."""
    ssh_port, web_port = _free_ports(2)
    machine = VirtualMachine(directory, _start(directory, ssh_port), ssh_port, web_port)
    try:
        machine.connect()
        yield machine
        log("shutting the machine down")
        machine.shut_down()
    finally:
        machine.kill()


def _start(directory: Path, ssh_port: int) -> "subprocess.Popen[bytes]":
    # `restrict` cuts the machine off from every network, except for SSH from this host.
    network = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-10.0.2.15:22"
    options = {
        "accel": "tcg,thread=multi,tb-size=1024",
        "cpu": "max",
        "smp": "2",
        "m": str(MEMORY),
        "display": "none",
        "kernel": directory / "vmlinuz",
        "initrd": directory / "initrd",
        "append": "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off audit=0",
        "drive": f"file={directory / 'disk.img'},format=raw,if=virtio,cache=unsafe",
        "netdev": network,
        "serial": f"file:{directory / 'console.log'}",
    }
    devices = ("virtio-net-pci,netdev=net", "virtio-rng-pci")
    command = [
        *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", "-nodefaults", "-no-reboot"),
        *(str(word) for name, value in options.items() for word in (f"-{name}", value)),
        *(word for device in devices for word in ("-device", device)),
    ]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _free_ports(count: int) -> list[int]:
    """TCP ports of loopback that are free now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
