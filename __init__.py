"""Images on Amazon Bedrock."""
