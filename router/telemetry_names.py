"""Names of spans, attributes and metrics.

The GenAI conventions are in development and have renamed things more than once: what they call a thing is written here
and nowhere else.
"""

SCOPE = "lascaux"
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# GenAI conventions: no operation of theirs makes images; generate_content with an output type is the conforming one.
OPERATION_NAME = "gen_ai.operation.name"
OPERATION = "generate_content"
PROVIDER_NAME = "gen_ai.provider.name"
PROVIDER = "aws.bedrock"
OUTPUT_TYPE = "gen_ai.output.type"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_SEED = "gen_ai.request.seed"
CHOICE_COUNT = "gen_ai.request.choice.count"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_MESSAGES = "gen_ai.input.messages"
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
REGION = "cloud.region"
AWS_REQUEST_ID = "aws.request_id"

# Ours.
REQUEST_SPAN = "lascaux.generate"
ALIAS = "lascaux.alias"
TASK = "lascaux.task"
DEPLOYMENT = "lascaux.deployment"
MODEL = "lascaux.model"
ATTEMPT = "lascaux.attempt"
IMAGES_REQUESTED = "lascaux.images.requested"
IMAGES_DELIVERED = "lascaux.images.delivered"
SIZE = "lascaux.size"
QUALITY = "lascaux.quality"
OUTCOME = "lascaux.outcome"
MAY_BE_BILLED = "lascaux.may_be_billed"
CACHE_RESULT = "lascaux.cache.result"
COST_USD = "lascaux.cost.usd"
SAVED_USD = "lascaux.cost.saved_usd"
PRICE_TABLE = "lascaux.price_table"
ATTEMPTS_MADE = "lascaux.attempts.count"
RETRIES_MADE = "lascaux.retries.count"
FALLBACKS_MADE = "lascaux.fallbacks.count"
WARNINGS = "lascaux.warnings"
BREAKER_STATE = "lascaux.breaker.state"
KEY = "lascaux.key"

# Of HTTP, as the stable conventions have it.
HTTP_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
URL_SCHEME = "url.scheme"
PROTOCOL_VERSION = "network.protocol.version"

# Metrics.
ATTEMPT_DURATION = "gen_ai.client.inference.duration"
REQUEST_DURATION = "lascaux.request.duration"
IMAGES = "lascaux.images"
COST = "lascaux.cost"
COST_SAVED = "lascaux.cost.saved"
CACHE = "lascaux.cache"
ATTEMPTS = "lascaux.attempts"
RETRIES = "lascaux.retries"
BREAKER = "lascaux.breaker.transitions"
RELOADS = "lascaux.reloads"
LEARNED_RPM = "lascaux.deployment.learned_rpm"
LINE_WAIT = "lascaux.line.wait"
BREAKER_NOW = "lascaux.deployment.breaker"
IN_FLIGHT = "lascaux.deployment.in_flight"

# Metrics of the gateway.
HTTP_DURATION = "http.server.request.duration"
HTTP_ACTIVE = "http.server.active_requests"
ADDED = "lascaux.gateway.added"
ERRORS = "lascaux.gateway.errors"
SPENT = "lascaux.gateway.spent"
PLACES = "lascaux.gateway.places"
BODIES = "lascaux.gateway.bodies"
AUDIT_LOST = "lascaux.gateway.audit.lost"

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The conventions' advised buckets."""
LONG_SECONDS = (*SECONDS, 163.84, 327.68, 655.36)
"""A request may take as long as its deadline, 600 s by default."""
HTTP_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    20.0,
    40.0,
    80.0,
    160.0,
    320.0,
    640.0,
)
"""The conventions' buckets end at 10 s, which is too early for pictures."""
ADDED_SECONDS = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.0)
