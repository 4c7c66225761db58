"""Runs attacks in the real sandbox, and judges each from outside: by how its job ended and by what it left."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cli.attack.stage import LIMITS, Stage
from tasks.errors import JobFailed
from workers.render.errors import BlueprintError, EngineError
from workers.render.sandboxed import value_of
from workers.render.sandboxed.outputs import check_outputs
from workers.sandbox.attacks import ATTACKS, PROGRAM_ATTACKS
from workers.sandbox.attacks.attack import ALLOWED, NOT_APPLICABLE, Attack, Scene
from workers.sandbox.attacks.body import ENDS, program
from workers.sandbox.runner import BodyFailed, Outcome, ProcessDied, SandboxJob, run
from workers.sandbox.watch import Limits
from workers.sandbox.zygote import Zygote, ZygoteOptions

_MODULE = "workers.sandbox.attacks.body"
BODY = f"{_MODULE}:attack_body"

# Errors that refuse something, by whichever control. Another error means that the attack reached what it was after.
REFUSALS = frozenset({"EACCES", "EPERM", "ENOSYS"})

# The end of an attack whose forged report about this machine would be believed.
BELIEVED = "believed"


Start = Callable[[Zygote, Scene, Iterable[str]], Outcome]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an attack. `held` is None if this machine does not have what it is after."""

    name: str
    intent: str
    control: str
    end: str
    held: bool | None


@dataclass(frozen=True, slots=True)
class Suite:
    """Attacks on the sandbox of `options`. Tests raise `limits`, and switch the check of outputs off."""

    stage: Stage
    options: ZygoteOptions
    limits: Limits = LIMITS
    checks_output: bool = True

    def run(
        self,
        attacks: Sequence[Attack] = ATTACKS,
        programs: Sequence[Attack] = PROGRAM_ATTACKS,
        on_verdict: Callable[[Verdict], None] = lambda _verdict: None,
    ) -> list[Verdict]:
        """Run attacks of renders and of helper programs. Raises OSError if no process can be started."""
        before = self.stage.snapshot()
        verdicts = []
        for verdict in self._verdicts(attacks, programs):
            on_verdict(verdict)
            verdicts.append(verdict)
        verdicts.append(self._others(before))
        on_verdict(verdicts[-1])
        return verdicts

    def _verdicts(self, attacks: Sequence[Attack], programs: Sequence[Attack]) -> Iterator[Verdict]:
        with _running(self.options) as zygote:
            yield from self._together(zygote, [attack for attack in attacks if not attack.alone], self._body)
        # Nothing is forked ahead of these, since preparing it takes longer than they do.
        with _running(replace(self.options, preload=(_MODULE,), rehearse="")) as zygote:
            yield from (self._alone(zygote, attack, self._body) for attack in attacks if attack.alone)
            yield from self._together(zygote, [attack for attack in programs if not attack.alone], self._program)
            yield from (self._alone(zygote, attack, self._program) for attack in programs if attack.alone)

    def _together(self, zygote: Zygote, attacks: Sequence[Attack], start: Start) -> Iterator[Verdict]:
        """Run attacks that do not end their process in one of them."""
        if not attacks:
            return
        with self.stage.job() as scene:
            outcome = start(zygote, scene, [attack.name for attack in attacks])
            for attack in attacks:
                # Without an end an attack has ended the process, or replaced it.
                yield _judge(attack, (outcome.result or {}).get(attack.name, ALLOWED), start == self._program)

    def _alone(self, zygote: Zygote, attack: Attack, start: Start) -> Verdict:
        with self.stage.job() as scene:
            outcome = start(zygote, scene, [attack.name])
            end = (outcome.result or {}).get(attack.name, ALLOWED)
            if end == ALLOWED:
                end = self._end(outcome, scene)
            return _judge(attack, end, start == self._program)

    def _body(self, zygote: Zygote, scene: Scene, names: Iterable[str]) -> Outcome:
        arguments = {"scene": scene.as_dict(), "attacks": list(names)}
        job = SandboxJob(BODY, arguments, work=scene.work, sources=(scene.source, scene.readable))
        return run(zygote, job, self.limits)

    def _program(self, zygote: Zygote, scene: Scene, names: Iterable[str]) -> Outcome:
        command = program(scene, list(names))
        job = SandboxJob("", {}, work=scene.work, sources=(scene.source, scene.readable), command=command)
        outcome = run(zygote, job, self.limits)
        ends = scene.work / ENDS
        return replace(outcome, result=json.loads(ends.read_text()) if ends.is_file() else None)

    def _end(self, outcome: Outcome, scene: Scene) -> str:
        """The end of a job as the trusted side sees it."""
        try:
            value_of(outcome)
            if self.checks_output:
                check_outputs(scene.out)
        except ProcessDied as error:
            return str(error.death.cause)
        except EngineError:
            return BELIEVED
        except (BlueprintError, BodyFailed, JobFailed) as error:
            return error.code
        return ALLOWED

    def _others(self, before: dict[str, tuple[object, ...]]) -> Verdict:
        after = self.stage.snapshot()
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        connections = self.stage.connections()
        end = "unchanged"
        if changed:
            end = f"{len(changed)} files changed"
        elif connections:
            end = f"{connections} connections"
        intent = "Looks whether all attacks together changed a foreign file or connected to a socket."
        return Verdict("everything else", intent, "all", end, end == "unchanged")


@contextmanager
def _running(options: ZygoteOptions) -> Iterator[Zygote]:
    zygote = Zygote(options)
    try:
        yield zygote
    finally:
        zygote.close()


def _judge(attack: Attack, end: str, is_program: bool) -> Verdict:
    held = None if end == NOT_APPLICABLE else end in attack.ends | REFUSALS
    name = f"{attack.name} (program)" if is_program else attack.name
    return Verdict(name, attack.intent, attack.control, end, held)
