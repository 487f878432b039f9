//! `GET /`: what is here, for people.

use axum::Router;
use axum::routing::get;

use crate::app::App;

const INDEX: &str = concat!(
    "mainstay ",
    env!("CARGO_PKG_VERSION"),
    "

GET    /livez                            200 while the process runs
GET    /readyz?verbose                   200 while the backend answers
GET    /metrics                          Prometheus

GET PUT DELETE /v1/cache/{cache}/{key}   the body is the value; PUT takes ?ttl=60s and Mainstay-Tag
POST   /v1/cache/{cache}/{key}:acquire   {\"lease\"}: 200 value, 201 lease, 202 wait
POST   /v1/cache/{cache}/{key}:fill      Mainstay-Lease; the body is the value
POST   /v1/cache/{cache}/{key}:give-up   {\"lease\",\"reason\"}
POST   /v1/cache/{cache}:invalidate      {\"keys\",\"tags\",\"all\"}
GET    /v1/cache/{cache}:stats           hits, loads, waits
POST   /v1/sessions                      {\"user\",\"data\",\"idle\",\"absolute\",\"device\",\"in_place_of\"}
GET DELETE /v1/sessions/current          Authorization: Bearer ID
PATCH  /v1/sessions/current              a JSON merge patch of the data: changes some keys
POST   /v1/sessions/current:rotate       another ID; the old one leads there for a grace
POST   /v1/sessions/current:authenticate-again  another ID, once the user has proved to be there
POST   /v1/sessions/current:revoke-others  log out everywhere else
GET DELETE /v1/users/{user}/sessions     list them, ?limit=1000; log out everywhere
DELETE /v1/users/{user}/sessions/{id_hash}  end one of them
POST   /v1/channels/{channel}/events     {\"type\",\"data\"} or a CloudEvent
GET    /v1/channels/{channel}/events     what its history keeps, ?after=POSITION&limit=100
GET    /v1/stream?channel=a&channel=b    server-sent events
GET    /v1/queues/{queue}                how many jobs, by what they wait for
POST   /v1/queues/{queue}:push           {\"jobs\":[{\"data\",\"id\",\"key\",\"delay\",\"traceparent\"}]}
POST   /v1/queues/{queue}:take           {\"consumer\",\"most\",\"lease\",\"max_attempts\"}
POST   /v1/queues/{queue}:renew          {\"jobs\":[{\"id\",\"fence\"}],\"lease\"}
POST   /v1/queues/{queue}:settle         {\"jobs\":[{\"id\",\"fence\",\"outcome\",\"after\",\"reason\"}],\"max_attempts\"}; outcome: done, retry, back, dead
GET    /v1/queues/{queue}/dead           ?limit=1000&skip=0
POST   /v1/queues/{queue}/dead:replay    {\"ids\",\"all\"}; or :purge
GET    /v1/limits                        the policies
POST   /v1/limits/{policies}:check       {\"subject\",\"cost\",\"token\"}; several policies stand between commas
POST   /v1/limits/{policies}:peek        {\"subject\",\"cost\"}
POST   /v1/limits/{policies}:refund      {\"subject\",\"cost\",\"decided_at_us\"}
POST   /v1/limits/{policies}:reset       {\"subject\"}
POST   /v1/limits/{policies}:enter       {\"subject\"}: a permit of concurrent calls
POST   /v1/limits/{policies}:renew       {\"subject\",\"token\"}
POST   /v1/limits/{policies}:leave       {\"subject\",\"token\"}
POST   /json                             a RateLimitRequest of Envoy, which gRPC takes here as well
POST   /v1/locks/{name}:acquire          {\"ttl\",\"wait\"}
POST   /v1/locks/{name}:renew            {\"token\",\"ttl\"}
POST   /v1/locks/{name}:release          {\"token\"}
GET    /v1/locks?kind=lock&limit=1000    what is held, by whom
GET    /v1/locks/{name}?kind=semaphore   who holds it, how many wait; kind: lock, semaphore, read-write
POST   /v1/locks/{name}:break            {\"fence\",\"reason\",\"kind\"}: frees it for its holder

Durations are written with a unit: 300s, 5m, 1h. Errors are application/problem+json.
"
);

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(|| async { INDEX }))
}
