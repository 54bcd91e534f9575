"""Make the passwords of a deployment: random, written to files that only their reader may read.

    python3 deploy/credentials.py init             passwords of database, hub and monitor
    python3 deploy/credentials.py site h001        a new password for a site, shown once
    python3 deploy/credentials.py remove h001      a site, or the simulator, that may no longer connect
    python3 deploy/credentials.py simulator        let the simulator in (never where patients are)

Needs nothing but Python 3.9.  Afterwards tell a running broker:
docker compose kill --signal HUP mosquitto
"""

import argparse
import base64
import hashlib
import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGE_UID = 1883  # of the user mosquitto in the image
PASSWORD_BYTES = 24
# 192 random bits need no slow hash, and a slow one would stall the broker when all sites come back.
ITERATIONS = 101
SALT_BYTES = 12
SITE = re.compile(r"[A-Za-z0-9_-]{1,32}")
RESERVED = ("hub", "monitor", "simulator")
ENV_PASSWORDS = ("CTG_DB_ADMIN_PASSWORD", "CTG_DB_PASSWORD", "CTG_MQTT_PASSWORD", "CTG_SIMULATOR_PASSWORD")


class Credentials:
    """The files of one deployment below a folder: `.env` and `deploy/secrets/broker/`."""

    def __init__(self, root: Path) -> None:
        self.env_file = root / ".env"
        self.folder = root / "deploy" / "secrets" / "broker"
        self.passwords = self.folder / "passwords"
        # As root the files go to the image's user; otherwise the container takes the caller's.
        self._uid = IMAGE_UID if os.geteuid() == 0 else os.geteuid()
        self._gid = IMAGE_UID if os.geteuid() == 0 else os.getegid()

    def init(self) -> None:
        """Add whatever is missing; a password that is there stays."""
        known = self._read_env()
        added = {name: _new_password() for name in ENV_PASSWORDS if not known.get(name)}
        if not known.get("CTG_BROKER_USER"):
            added["CTG_BROKER_USER"] = f"{self._uid}:{self._gid}"
        if added:
            kept = self.env_file.read_text("utf-8") if self.env_file.exists() else ""
            lines = [line for line in kept.splitlines() if line.partition("=")[0].strip() not in added]
            lines += [f"{name}={value}" for name, value in added.items()]
            _write(self.env_file, "\n".join(lines) + "\n", None)
        self._make_folder()
        self.set_user("hub", self._read_env()["CTG_MQTT_PASSWORD"])
        if "monitor" not in self._read_users() or not (self.folder / "mosquitto_sub").exists():
            monitor = _new_password()
            self.set_user("monitor", monitor)
            # Options of mosquitto_sub, which the health check reads: no password on a command line.
            _write(self.folder / "mosquitto_sub", f"-u monitor\n-P {monitor}\n", (self._uid, self._gid))

    def simulator_password(self) -> str:
        """Password that the simulator's container is given."""
        password = self._read_env().get("CTG_SIMULATOR_PASSWORD")
        if not password:
            msg = f"{self.env_file}: no CTG_SIMULATOR_PASSWORD; run init first"
            raise SystemExit(msg)
        return password

    def set_user(self, name: str, password: str) -> None:
        """Give a user of the broker this password."""
        users = self._read_users()
        users[name] = _hashed(password)
        self._write_users(users)

    def remove_user(self, name: str) -> bool:
        """Take a user's password away; False when there was none."""
        users = self._read_users()
        found = users.pop(name, None) is not None
        if found:
            self._write_users(users)
        return found

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.parent.chmod(0o700)
        self.folder.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(self.folder, self._uid, self._gid)

    def _read_env(self) -> dict[str, str]:
        if not self.env_file.exists():
            return {}
        pairs = (line.partition("=") for line in self.env_file.read_text("utf-8").splitlines())
        return {
            name.strip(): value.strip() for name, sign, value in pairs if sign and not name.startswith("#")
        }

    def _read_users(self) -> dict[str, str]:
        if not self.passwords.exists():
            return {}
        return dict(
            line.split(":", 1) for line in self.passwords.read_text("utf-8").splitlines() if ":" in line
        )

    def _write_users(self, users: dict[str, str]) -> None:
        self._make_folder()
        text = "".join(f"{name}:{value}\n" for name, value in sorted(users.items()))
        _write(self.passwords, text, (self._uid, self._gid))


def _new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _hashed(password: str) -> str:
    """Hash as mosquitto 2 reads it: $7$iterations$salt$PBKDF2-HMAC-SHA512."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _write(path: Path, text: str, owner: "tuple[int, int] | None") -> None:
    # Replaced in one step, so that a broker never reads half a file; at no moment readable by others.
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(
        os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if owner is not None and os.geteuid() == 0:
        os.chown(fresh, *owner)
    fresh.replace(path)


def _removable(text: str) -> str:
    return text if text == "simulator" else _site_name(text)


def _site_name(text: str) -> str:
    if not SITE.fullmatch(text) or text in RESERVED:
        msg = f"expected 1 to 32 of A-Z a-z 0-9 _ -, not {', '.join(RESERVED)}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return text


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Passwords of a deployment of the hub.")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of docker-compose.yml")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init", help="make what is missing")
    commands.add_parser("simulator", help="let the simulator in")
    site = commands.add_parser("site", help="give a site a new password")
    site.add_argument("name", type=_site_name)
    remove = commands.add_parser("remove", help="take a site's password away")
    remove.add_argument("name", type=_removable)
    given = parser.parse_args()
    credentials = Credentials(given.root)

    if given.command == "init":
        credentials.init()
        sys.stdout.write(f"{credentials.env_file} and {credentials.folder} are ready\n")
    elif given.command == "simulator":
        credentials.set_user("simulator", credentials.simulator_password())
        sys.stdout.write("the simulator may connect as the invented sites h001 to h004\n")
    elif given.command == "site":
        password = _new_password()
        credentials.set_user(given.name, password)
        sys.stdout.write(f"user {given.name}\npassword {password}\n")
    elif not credentials.remove_user(given.name):
        parser.error(f"{given.name} has no password")


if __name__ == "__main__":
    main()
