revoke usage on domain d from public;
