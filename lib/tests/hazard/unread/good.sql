do $$ declare n int; begin select count(*) into n from s.pipe; if n = 0 then raise 'empty'; end if; perform 1; end $$;
