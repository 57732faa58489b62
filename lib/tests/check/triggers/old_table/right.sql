create trigger x after update on t referencing old table as o for each statement execute function f();
