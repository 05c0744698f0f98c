"""Simulates everything that the app calls in Azure, on 127.0.0.1 and over real connections.

Not deployed. The demo, the tests and the benchmarks start it with `simulator.stack.Simulator`.
"""
