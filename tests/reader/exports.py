"""Checks an exported log by the rules of the system that it was exported for.

exports.py agent-safe FILE          lines with a chain of their own
exports.py illuvrse SIGNERS < ROWS  rows of audit_events as one JSON array, in the order of created_at

Prints how many entries there are, or fails.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELDS = {
    "action", "caller", "context", "correlation_id", "decision", "effective_risk", "entry_hash", "event_id",
    "params", "policy_matched", "prev_hash", "reason", "risk_class", "target", "timestamp",
}


def agent_safe(path):
    previous, count = "0" * 64, 0
    for line in open(path, encoding="ascii"):
        entry = json.loads(line)
        assert json.dumps(entry, sort_keys=True) + "\n" == line, line
        assert set(entry) == FIELDS, set(entry) ^ FIELDS
        assert entry["decision"] in {"allow", "deny", "require_approval"}, entry
        assert {entry["risk_class"], entry["effective_risk"]} <= {"low", "medium", "high", "critical"}, entry
        assert entry["prev_hash"] == previous, line
        stated = entry.pop("entry_hash")
        previous = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
        assert stated == previous, line
        count += 1
    return count


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def illuvrse(signers):
    keys = {}
    for signer in json.load(open(signers))["signers"]:
        raw = {signer[name] for name in ("publicKey", "public_key", "public_key_pem")}
        ids = {signer[name] for name in ("signerId", "signer_id", "signer_kid", "id")}
        assert len(raw) == len(ids) == 1 and signer["algorithm"] == "ed25519", signer
        keys[ids.pop()] = Ed25519PublicKey.from_public_bytes(base64.b64decode(raw.pop()))
    previous, created, count = "", "", 0
    for row in json.load(sys.stdin):
        before = row["prev_hash"] or ""
        assert before == previous, row
        digest = hashlib.sha256(canonical(row["payload"]) + bytes.fromhex(before)).digest()
        assert row["hash"] == digest.hex(), row
        keys[row["signer_kid"]].verify(base64.b64decode(row["signature"]), digest)
        assert row["created_at"] > created, row
        previous, created, count = row["hash"], row["created_at"], count + 1
    return count


if __name__ == "__main__":
    print({"agent-safe": agent_safe, "illuvrse": illuvrse}[sys.argv[1]](sys.argv[2]))
