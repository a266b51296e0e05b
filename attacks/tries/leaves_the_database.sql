-- runs a program
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null';

-- reads a file
SELECT pg_read_file('/etc/hostname');

-- lists a folder
SELECT pg_ls_dir('.');

-- loads a file
SELECT lo_import('/etc/hostname');

-- writes a file
COPY (SELECT 1) TO '/dev/null';

-- makes an extension
CREATE EXTENSION IF NOT EXISTS dblink;

-- reads the passwords
SELECT rolpassword FROM pg_authid;

-- changes a setting of the server
SET log_statement = 'none';
