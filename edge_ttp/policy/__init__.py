"""The policy on llama.cpp: from a request to its candidates.

It alone has something to log, so that `import edge_ttp` need not load `logging`.
"""

import logging

logging.getLogger("edge_ttp").addHandler(logging.NullHandler())  # silent, unless the host program wants to hear
