"""Asks a rate limit service over gRPC, with the messages of Envoy's own API.

Argument: ADDRESS. Each line of standard input is a RateLimitRequest as JSON, and is answered with the
RateLimitResponse as JSON, or with `error` and the name of the status.
"""

import json
import sys

import grpc
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc
from google.protobuf import json_format

channel = grpc.insecure_channel(sys.argv[1])
service = rls_pb2_grpc.RateLimitServiceStub(channel)

for line in sys.stdin:
    request = json_format.Parse(line, rls_pb2.RateLimitRequest())
    try:
        response = service.ShouldRateLimit(request, timeout=10)
    except grpc.RpcError as error:
        print("error", error.code().name, flush=True)
    else:
        print(json.dumps(json_format.MessageToDict(response)), flush=True)
