"""A bucket on a server of this process: moto's S3."""

import contextlib
import logging
import os

import boto3
from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def s3_bucket(name):
    """s3://NAME, which the environment has the settings of until the end."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }  # fmt: skip
    before = dict(os.environ)
    os.environ |= settings
    boto3.client("s3").create_bucket(Bucket=name)
    try:
        yield f"s3://{name}"
    finally:
        for key in settings:
            os.environ.pop(key)
        os.environ |= {key: before[key] for key in settings.keys() & before.keys()}
        server.stop()
