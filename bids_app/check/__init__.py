"""The check stage: what a protocol can detect, from known losses in three of its scans."""
