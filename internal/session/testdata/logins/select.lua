-- A short session of sysbench: see record.sh.

function thread_init()
  con = sysbench.sql.driver():connect()
end

function event()
  con:query("SELECT 1")
end

function thread_done()
  con:disconnect()
end
