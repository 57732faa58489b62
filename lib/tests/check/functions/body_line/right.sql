create function f() returns int language plpgsql as '
begin
  -- second
  return 1;
end
';
