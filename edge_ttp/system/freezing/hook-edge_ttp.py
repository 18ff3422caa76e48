"""PyInstaller's hook of edge_ttp: its models, pages and manifests, and the modules that it loads by their names.

Left out is what stands on extras (the window, adapters of other libraries): an app that uses them imports them.
"""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

_EXTRAS = ("edge_ttp.app", "edge_ttp.adapters", "edge_ttp.lab", "edge_ttp.desk.mcp_server", "edge_ttp.system.freezing")

datas = collect_data_files("edge_ttp") + copy_metadata("edge-ttp", recursive=True)
datas += collect_data_files("py3langid") + collect_data_files("linkify_it") + collect_data_files("llguidance")
hiddenimports = collect_submodules("edge_ttp", filter=lambda name: not name.startswith(_EXTRAS))
hiddenimports += ["edge_ttp.lab.doctor"]
excludedimports = ["torch", "transformers", "matplotlib", "tkinter"]
