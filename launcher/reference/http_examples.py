"""The examples on the page of the HTTP API; a test asks each of a running gateway."""

INTRODUCTION = """# HTTP API

<!-- page: service -->

The gateway listens on 127.0.0.1:8000 (`GATEWAY_HOST`, `GATEWAY_PORT`). A running one describes itself at
`/openapi.json`, which this page is made from, and at `/docs` as a page to try it on.

- Scores are those of `transformers.pipeline("text-classification")`: softmax where one label is true, sigmoid where
  several can be, the value itself for a regression.
- Every answer to a sentence names the version that gave it in the header `X-Model-Version`. A sentence that was cut at
  the model's limit has `X-Truncated: true`; for several sentences the header says how many were, `2 of 8`.
- With `long_text=windows` a sentence past the limit is not cut but [read in windows](../guides/long-texts.md), and
  `X-Windows: 3` says in how many; for several sentences it names those that were, counted from 1, `2=3, 5=4` (200 of
  them at most, then `...`). `POST /predict` knows no windows.
- Of a version with a [student](../guides/cascade.md), the header `X-Answered-By` says who answered: `student`, `model`,
  or `both` where the sentences of a request were dealt between them. A student's score is how likely the model is to
  answer that label.
- What a score means, and what `calibrated`, `min_score`, `unknown` and `coverage` ask for, is on [a page of its
  own](../guides/scores.md). `X-Calibrated` says of an answer that was to have calibrated scores whether it has, and
  `X-Coverage` which coverage a set of labels has.
- With `receipt=true` each answer is an object, `{"answer": …, "receipt": …}`: what is answered without, and a signed
  [receipt](../guides/receipts.md) of it.
- A request brings its own `X-Request-ID` or is given one.
- With `API_KEYS`, a caller sends one of them as `Authorization: Bearer KEY`. What says whether the service answers is
  open: `/health`, `/health/live`, `/health/ready`, `/ping`, `/v2/health/…`.
- Routes that are tagged with another server's name answer [its clients](../guides/other-clients.md): their fields and
  their errors are that server's. `DIALECTS` closes them.
- HEAD answers every GET route, and a slash at the end changes nothing.
- A body is JSON in UTF-8 or in the `charset` of its `Content-Type`, and may be packed (`Content-Encoding: gzip` or
  `deflate`).
- One pair of quotes around a sentence is ignored, by GET and by `POST /classify`. `POST /predict` takes texts as they
  are.
"""
EXAMPLES = {
    ("GET", "/classify"): """```console
$ curl -s -G http://127.0.0.1:8000/classify --data-urlencode "sentence=Mapa aprende un nuevo lenguaje"
[{"label":"Education","score":0.98…}]
```

`top_k` asks for more labels:

```console
$ curl -s -G http://127.0.0.1:8000/classify --data-urlencode "sentence=Invoice for the new machines" -d top_k=2
[{"label":"Business","score":0.9…},{"label":"Technology","score":0.0…}]
```

A text that is longer than the model reads, in windows of the model's length:

```console
$ long=$(printf 'film %.0s' $(seq 200); printf 'law %.0s' $(seq 500))
$ curl -s -D - -G http://127.0.0.1:8000/classify --data-urlencode "sentence=$long" -d long_text=windows \\
    | grep -iE '^x-w|label'
x-windows: …
[{"label":"Other","score":…}]
```""",
    ("POST", "/classify"): """```console
$ curl -s http://127.0.0.1:8000/classify -H "Content-Type: application/json" \\
    -d '{"sentences": ["Mapa aprende un nuevo lenguaje", "Invoice"]}'
[[{"label":"Education","score":0.98…}],[{"label":"Business","score":0.9…}]]
```

Ideas of mind maps are joined as training joins them:

```console
$ curl -s http://127.0.0.1:8000/classify -H "Content-Type: application/json" \\
    -d '{"ideas": [{"idea_title": "Mapa", "map_title": "aprende un lenguaje"}]}'
[[{"label":"Education","score":0.9…}]]
```""",
    ("POST", "/predict"): """What clients of text-embeddings-inference send, and what they read:

```console
$ curl -s http://127.0.0.1:8000/predict -H "Content-Type: application/json" \\
    -d '{"inputs": "Mapa aprende un nuevo lenguaje"}'
[{"label":"Education","score":0.98…},…]
```""",
    ("GET", "/models"): """```console
$ curl -s http://127.0.0.1:8000/models
{"model":"classifier","current":1,"threshold":0.5,…,"versions":[{"version":1,"state":"current","reason":null,"labels":["Business",…],…}],…}
```""",
    ("GET", "/health/live"): """```console
$ curl -s http://127.0.0.1:8000/health/live
{"status":"live","model":"classifier","version":null}
```""",
    ("GET", "/health/ready"): """```console
$ curl -s http://127.0.0.1:8000/health/ready
{"status":"ready","model":"classifier","version":1}
```""",
    ("GET", "/metrics"): """What is counted is on the page [Metrics](metrics.md).

```console
$ curl -s http://127.0.0.1:8000/metrics | grep '^classifier_ready'
classifier_ready{model="classifier"} 1.0
```""",
}
MISTAKES = """A mistake is answered in one sentence, which says what was wrong and what would be right:

```console
$ curl -s -w ' %{http_code}' -G http://127.0.0.1:8000/classify --data-urlencode "sentence= "
{"error":"The sentence is empty: give it at least one visible character."} 422
```

503 comes with `Retry-After`: Triton is away, or too much is waiting. No answer has a stack trace, or a label of another
version. `POST /predict` answers the same mistakes in the words of text-embeddings-inference:

```console
$ curl -s -w ' %{http_code}' http://127.0.0.1:8000/predict -H "Content-Type: application/json" \\
    -d '{"inputs": " "}'
{"error":"The sentence is empty: give it at least one visible character.","error_type":"Empty"} 400
```
"""
