"""Keeps sessions the way redis-py programs commonly do.

Arguments: URL. Reads `create USER TENANT ROLE`, `read ID`, `delete-all USER`,
`log-in-often USER TIMES` and `quit`.
"""

import json
import sys
import uuid
from datetime import datetime, timedelta, timezone

import redis

SESSION_TTL = timedelta(hours=24)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

client = redis.Redis.from_url(sys.argv[1], decode_responses=True)


def create(user: str, tenant: str, role: str) -> str:
    session = {
        "id": str(uuid.uuid4()),
        "user_id": user,
        "tenant_id": tenant,
        "role": role,
        "expires_at": (datetime.now(timezone.utc) + SESSION_TTL).isoformat(),
    }
    pipe = client.pipeline(transaction=False)
    pipe.set(f"session:{session['id']}", json.dumps(session), ex=SESSION_TTL)
    pipe.sadd(f"user:{user}:sessions", session["id"])
    pipe.expire(f"user:{user}:sessions", SESSION_TTL)
    pipe.execute()
    return session["id"]


def read(session_id: str) -> str:
    data = client.get(f"session:{session_id}")
    if data is None:
        return "none"
    session = json.loads(data)
    ends = datetime.fromisoformat(session["expires_at"])
    words = [session["id"], session["user_id"], session["tenant_id"], session["role"]]
    return " ".join([*words, str((ends - EPOCH) // timedelta(milliseconds=1))])


def delete_all(user: str) -> str:
    ids = client.smembers(f"user:{user}:sessions")
    client.delete(*(f"session:{i}" for i in ids), f"user:{user}:sessions")
    return "ok"


for line in sys.stdin:
    match line.split():
        case ["create", user, tenant, role]:
            print(create(user, tenant, role), flush=True)
        case ["read", session_id]:
            print(read(session_id), flush=True)
        case ["delete-all", user]:
            print(delete_all(user), flush=True)
        case ["log-in-often", user, times]:
            for _ in range(int(times)):
                create(user, "plant", "engineer")
            print("ok", flush=True)
        case ["quit"]:
            break
        case _:
            sys.exit(f"unknown request: {line!r}")
