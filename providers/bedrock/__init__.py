"""Amazon Bedrock: identifiers, credentials, one signed exchange per call, and the wire formats.

Importing this package loads neither botocore nor urllib3; ``provider`` does, when the first call is made.
"""
