from contracts.visitor import PackVisitors

pack_visitors: PackVisitors
