"""The base class of Celery tasks whose functions run in the sandbox."""

import inspect
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from celery import Task
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.utils.units import GIB, KIB, MIB, format_bytes
from workers.sandbox.causes import Cause
from workers.sandbox.function_call import ENTRY
from workers.sandbox.reports import MAX_NAME_LENGTH, MAX_TEXT_LENGTH, MAX_TRACEBACK_LENGTH
from workers.sandbox.runner import ExitInfo, Outcome, SandboxJob, run
from workers.sandbox.task.app_zygote import app_zygote
from workers.sandbox.task.errors import SandboxedProcessDied, SandboxedProcessInterrupted, SandboxedTaskError
from workers.sandbox.task.files import (
    STANDARD_ERROR,
    STANDARD_OUTPUT,
    check_source,
    publish_outputs,
    take_text,
    working_directory,
)
from workers.sandbox.watch import Limits

# Bytes of a program's standard output and error that reach the caller.
MAX_OUTPUT_TEXT = 64 * KIB
MAX_ERROR_TEXT = 4 * KIB

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB}

# Runs a program with its standard output and error in files of the working directory.
_SHELL = ("/bin/sh", "-c", f'exec "$0" "$@" >{STANDARD_OUTPUT} 2>{STANDARD_ERROR}')


class _Error(BaseModel):
    """An error that the function raised, as its process reported it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: str = Field(max_length=MAX_NAME_LENGTH)
    message: str = Field(max_length=MAX_TEXT_LENGTH)
    traceback: str = Field(max_length=MAX_TRACEBACK_LENGTH)


class SandboxedTask(Task):
    """A task whose function runs in a process of its own that can reach nothing.

        @app.task(base=SandboxedTask, memory="512M", cpu=60, sources=["path"])
        def probe(path: str) -> dict[str, int]: ...

    Arguments and result are JSON. The task fails with SandboxedTaskError, SandboxedProcessDied or SandboxUnavailable.
    """

    abstract = True

    # Limits: resident memory and bytes written ("512M" or bytes); seconds of processor time; seconds in which the
    # process may do nothing; seconds after which it is stopped in any case.
    memory: ClassVar[int | str] = "512M"
    disk: ClassVar[int | str] = "8G"
    cpu: ClassVar[float] = 300.0
    idle: ClassVar[float] = 300.0
    wall: ClassVar[float] = 1500.0

    # Files and directories that the process may read in addition to programs, libraries and fonts.
    read: ClassVar[Sequence[str | Path]] = ()

    # Names of arguments that are paths of files which the process may read, and the directory that holds them all.
    sources: ClassVar[Sequence[str]] = ()
    sources_in: ClassVar[str | Path | None] = None

    # A directory: what the process leaves in its working directory is moved to a directory there, the task's id.
    outputs: ClassVar[str | Path | None] = None

    # Instead of the task's own function: one of another module, `package.module:function`, or a program with its
    # arguments, in which {name} is replaced by an argument of the task. A program's result is its standard output.
    function: ClassVar[str] = ""
    command: ClassVar[Sequence[str]] = ()

    # What runs, `module:name`. Empty if it is a program.
    sandboxed_function: ClassVar[str] = ""
    _signature: ClassVar[inspect.Signature]

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Replace the task's function by a call of it in the sandbox. Raises TypeError if that is not possible."""
        super().on_bound(app)
        own = cls.__dict__.get("run")
        if own is None or "_signature" in cls.__dict__:
            return
        if not isinstance(own, staticmethod):
            raise TypeError(f"{cls.name}: a sandboxed task is a decorated function without `bind=True`.")
        cls._signature = inspect.signature(own.__func__)
        if unknown := set(cls.sources) - set(cls._signature.parameters):
            raise TypeError(f"{cls.name}: `sources` names {sorted(unknown)}, which its function does not take.")
        if not cls.command:
            cls.sandboxed_function = cls.function or function_name(own.__func__)
        cls.run = cls.run_in_sandbox

    def run_in_sandbox(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, or run the program, in the sandbox. Returns its result.

        Raises SandboxedTaskError if it raised an error, SandboxedProcessDied if its process died, SandboxUnavailable if
        none can be started, InvalidSource, InvalidOutput and OSError.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        sources = {name: self._source(bound.arguments[name]) for name in self.sources}
        bound.arguments.update({name: str(path) for name, path in sources.items()})
        outputs = Path(self.outputs) if self.outputs is not None else None
        with working_directory(outputs) as work:
            readable = (*sources.values(), *(Path(path) for path in self.read))
            result = self._run(bound, readable, work)
            if outputs is not None:
                publish_outputs(work, outputs / (self.request.id or str(uuid.uuid4())))
        return result

    def _run(self, bound: inspect.BoundArguments, readable: tuple[Path, ...], work: Path) -> Any:
        limits = self._limits()
        zygote = app_zygote(self.app)
        if self.command:
            command = build_command(self.command, bound.arguments)
            program = Path(command[0]).resolve().parent  # may lie outside the directories of the system
            job = SandboxJob("", {}, work=work, sources=(*readable, program), command=(*_SHELL, *command))
            return self._program_result(run(zygote, job, limits), work)
        name = self.sandboxed_function
        arguments = {"function": name, "args": list(bound.args), "kwargs": dict(bound.kwargs)}
        job = SandboxJob(ENTRY, arguments, work=work, sources=(*readable, *source_code(name)))
        return self._function_result(run(zygote, job, limits))

    def _function_result(self, outcome: Outcome) -> Any:
        self._raise_if_dead(outcome.exit_info)
        if (failure := outcome.failure) is not None:
            if failure.code == Cause.OUT_OF_MEMORY:
                raise SandboxedProcessDied(Cause.OUT_OF_MEMORY, self._story(outcome.exit_info, "It ran out of memory."))
            raise SandboxedTaskError(failure.code, failure.message, failure.traceback)
        result = outcome.result or {}
        if "error" not in result:
            return result.get("value")
        try:
            error = _Error.model_validate(result["error"])
        except ValidationError:
            raise SandboxedTaskError("InvalidResult", "The process reported an error that is none.") from None
        raise SandboxedTaskError(error.type, error.message, error.traceback)

    def _program_result(self, outcome: Outcome, work: Path) -> str:
        status = outcome.exit_info.status
        output = take_text(work, STANDARD_OUTPUT, MAX_OUTPUT_TEXT)
        errors = take_text(work, STANDARD_ERROR, MAX_ERROR_TEXT)
        if status <= 0:
            self._raise_if_dead(outcome.exit_info)
            return output
        raise SandboxedTaskError("ExitCode", f"{self.command[0]} ended with exit code {status}.", errors)

    def _raise_if_dead(self, ended: ExitInfo) -> None:
        if ended.death is not None:
            cause = ended.death.cause
            died = SandboxedProcessDied if cause.job_at_fault else SandboxedProcessInterrupted
            raise died(cause, self._story(ended, ended.death.explanation))

    def _story(self, ended: ExitInfo, explanation: str) -> str:
        """How the process died, in two sentences: the cause, then its time and its memory."""
        limit, peak = format_bytes(parse_size(self.memory)), format_bytes(ended.peak)
        return (
            f"{explanation} The task {self.name} had run for {ended.seconds:.1f} s, "
            f"with {ended.cpu:.1f} s of processor time, and used up to {peak} of {limit}."
        )

    def _source(self, path: object) -> Path:
        return check_source(str(path), Path(self.sources_in) if self.sources_in is not None else None)

    def _limits(self) -> Limits:
        disk = parse_size(self.disk)
        return Limits(parse_size(self.memory), self.cpu, self.idle, self.wall, file=disk, disk=disk)


def parse_size(size: int | str) -> int:
    """Bytes of a size such as `512M`, `1.5G` or 4096; units are binary. Raises ValueError."""
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError(f"{size!r} is no size. Write it as 512M, 1.5G, or as a number of bytes.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def function_name(function: Callable[..., Any]) -> str:
    """`module:name` of a function that another process can import. Raises TypeError if it cannot."""
    module, name = function.__module__, function.__qualname__
    if module == "__main__" or "<locals>" in name:
        raise TypeError(f"Move {name} to the top level of a module: the sandbox must be able to import it.")
    return f"{module}:{name}"


def source_code(function: str) -> tuple[Path, ...]:
    """The source file of a function's module, which tracebacks quote."""
    file = getattr(sys.modules.get(function.partition(":")[0]), "__file__", None)
    return (Path(file),) if file else ()


def build_command(command: Sequence[str], arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The program's path and its arguments, with {name} replaced by the argument of that name.

    There is no shell, so an argument stays one argument. Raises FileNotFoundError if the program is not installed.
    """
    replacements = {f"{{{name}}}": str(value) for name, value in arguments.items()}
    program, *words = command
    path = shutil.which(program)
    if path is None:
        raise FileNotFoundError(f"{program} is not installed, or is not on PATH.")
    return (path, *(replacements.get(word, word) for word in words))
