"""The bare loop: onnxruntime over the same rows, again and again, on one thread.

onnxruntime_loop.py MODEL ROWS COUNT REQUESTS -> {"wall": 0.1, "cpu": 0.1}
"""

import json
import sys
import time

import numpy as np
import onnxruntime
import pyarrow.parquet as pq


def main(model: str, file: str, count: int, requests: int) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = pq.read_table(file).slice(0, count)
    kinds = {"tensor(float)": np.float32, "tensor(string)": object}
    feed = {
        each.name: rows[each.name].to_numpy().astype(kinds[each.type]).reshape(-1, 1)
        for each in session.get_inputs()
    }
    session.run(None, feed)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(requests):
        session.run(None, feed)
    print(json.dumps({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
