create function f() returns int language plpgsql as '
begin
  -- first
  return 1;
end
';
