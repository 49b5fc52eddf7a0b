"""A look-alike of Amazon Bedrock's image models, for laptops, tests and benchmarks.

    from lascaux.emulator import Emulator

    with Emulator() as emulator:
        client = boto3.client("bedrock-runtime", endpoint_url=emulator.url, region_name="us-west-2",
                              aws_access_key_id="emulator", aws_secret_access_key="emulator-secret")

It imports nothing else of Lascaux, and its model facts are its own transcription of AWS's documents, so that a
mistake made elsewhere is not mirrored here. ``python -m lascaux.emulator --help`` explains the same from a shell.
"""

from .callers import DEMO_BEARER_TOKEN, DEMO_KEY_ID, DEMO_SECRET
from .faults import Faults, Rule
from .record import Record
from .server import Emulator

__all__ = ["DEMO_BEARER_TOKEN", "DEMO_KEY_ID", "DEMO_SECRET", "Emulator", "Faults", "Record", "Rule"]
