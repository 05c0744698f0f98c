"""The loopback tenant: everything that the app talks to in Azure stands on 127.0.0.1, reached over real connections.

Not deployed. The demo, the tests and the benchmarks start it with `simulator.stack.Simulator`.
"""
