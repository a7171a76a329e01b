#!/usr/bin/env python3
"""Reads a vault and a log of wardfs from docs/formats.md alone: nothing here knows the program's code.

    ward_reader.py files VAULT CREDENTIAL                  every file of secrets: size, SHA-256, versions;
                                                           every node of a workspace: all there is
    ward_reader.py verify AUDIT_DIR                        verdict, entries and last hash
    ward_reader.py names AUDIT_DIR VAULT NAME CREDENTIAL   sealed fields by number of entry

Each prints JSON; what is damaged without loss (a copy of the header, an image, a torn tail) is told on
stderr. CREDENTIAL is --keyfile FILE, --passphrase-file FILE or --recovery CODE. Exit code 1: damaged, or
a credential that does not open; 2: wrong usage. It takes the PyPI packages cryptography (42 or later),
argon2-cffi and zstandard.
"""

import argparse
import json
import sys
from pathlib import Path

from header import KEY_FILE, PASSPHRASE, RECOVERY, recovery_bytes
from log import names, verify
from sums import Damaged
from vault import files


def main():
    given = arguments().parse_args()
    try:
        if given.command == "verify":
            answer = verify(given.AUDIT_DIR)
        elif given.command == "files":
            answer = files(given.VAULT, *credential(given))
        else:
            answer = names(given.AUDIT_DIR, given.VAULT, given.NAME, *credential(given))
    except (Damaged, OSError) as error:
        sys.exit(f"ward_reader: {error}")
    json.dump(answer, sys.stdout, sort_keys=True)
    print()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("verify").add_argument("AUDIT_DIR", type=Path)
    for command in ("files", "names"):
        one = commands.add_parser(command)
        if command == "names":
            one.add_argument("AUDIT_DIR", type=Path)
        one.add_argument("VAULT", type=Path)
        if command == "names":
            one.add_argument("NAME")
        kinds = one.add_mutually_exclusive_group(required=True)
        kinds.add_argument("--keyfile", type=Path)
        kinds.add_argument("--passphrase-file", type=Path)
        kinds.add_argument("--recovery")
    return parser


def credential(given):
    """The kind of slot, and the secret that opens it."""
    if given.keyfile:
        return KEY_FILE, given.keyfile.read_bytes()
    if given.passphrase_file:
        return PASSPHRASE, given.passphrase_file.read_bytes().removesuffix(b"\n")
    return RECOVERY, recovery_bytes(given.recovery)


if __name__ == "__main__":
    main()
