-- sysbench's visit to a server: what its driver can do of the matrix. MATRIX_QUERIES
-- names the file of statements, one a line. The output has one line of JSON: how
-- many calls of the driver there were, and how many of them failed.

local commands, errors = 0, 0

local function count(call, ...)
  commands = commands + 1
  local ok, result = pcall(call, ...)
  if not ok then
    errors = errors + 1
  end
  return result
end

function thread_init()
  drv = sysbench.sql.driver()
  con = drv:connect()
end

function event()
  local queries = { "USE other", "USE app" }
  for line in io.lines(os.getenv("MATRIX_QUERIES")) do
    queries[#queries + 1] = line:gsub(";$", "")
  end
  for _, q in ipairs(queries) do
    count(con.query, con, q)
  end

  local insert = con:prepare("INSERT INTO t (id, v, n) VALUES (?, ?, ?)")
  local id, v, n = insert:bind_create(sysbench.sql.type.INT), insert:bind_create(sysbench.sql.type.VARCHAR, 40),
    insert:bind_create(sysbench.sql.type.BIGINT)
  insert:bind_param(id, v, n)
  local select = con:prepare("SELECT id, v, n FROM t WHERE id = ?")
  local key = select:bind_create(sysbench.sql.type.INT)
  select:bind_param(key)
  for i, value in ipairs({ "ten", "elf", "zwölf" }) do
    id:set(9 + i)
    v:set(value)
    if i == 2 then
      n:set(nil)
    else
      n:set(2 ^ (10 * i))
    end
    key:set(9 + i)
    count(insert.execute, insert)
    count(select.execute, select)
  end
  insert:close()

  count(con.query, con, "SELECT * FROM missing")
end

function thread_done()
  con:disconnect()
  print(string.format('{"commands":%d,"errors":%d}', commands, errors))
end
