"""Gives up the rights of root before the platform starts: it parses what strangers send, and needs none of them."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from workers.sandbox.confinement.privileges import drop_capabilities, empty_bounding_set, forbid_new_privileges


def choose_user(var: Path, environment: Mapping[str, str]) -> pwd.struct_passwd | None:
    """The user to continue as: the owner of the directory `var`, or who called sudo. None if both are root."""
    candidates = [environment.get("SUDO_UID", "0")]
    if var.exists():
        candidates.insert(0, str(var.stat().st_uid))
    for candidate in candidates:
        if candidate.isdecimal() and int(candidate) != 0:
            try:
                return pwd.getpwuid(int(candidate))
            except KeyError:
                continue
    return None


def give_up_rights(var: Path) -> str | None:
    """Continue without the rights of root, also in the processes that this one starts.

    As another user where there is one (see `choose_user`), who then owns `var`; otherwise as root without capabilities,
    who still owns the files of root. Returns a sentence about it; None for a user who is not root. Raises OSError.
    """
    if os.geteuid() != 0:
        return None
    user = choose_user(var, os.environ)
    if user is not None:
        var.mkdir(parents=True, exist_ok=True)
        os.chown(var, user.pw_uid, user.pw_gid)
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    else:
        empty_bounding_set()
        drop_capabilities()
    forbid_new_privileges()
    if user is not None:
        return f"Continues as the user {user.pw_name}, without the rights of root."
    return "Continues as root without capabilities. Start it as another user, so that it does not own root's files."
