"""Count views within a second of their arrival, provisionally: the speed layer.

It owns the consumer of `video-views`, the Lua scripts and the Redis keys `{views:<partition>}:…`. It decides nothing
about money and keeps nothing that cannot be rebuilt from the log. Start reading at `consume_loop`.
"""
