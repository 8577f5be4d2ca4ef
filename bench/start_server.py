"""Start the server of the project here, without a worker, and wait until it answers."""

import os

from trunkline.flows import server

server.begin(os.getcwd(), keep=True).wait()
