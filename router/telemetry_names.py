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

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The conventions' advised buckets."""
LONG_SECONDS = (*SECONDS, 163.84, 327.68, 655.36)
"""A request may take as long as its deadline, 600 s by default."""
